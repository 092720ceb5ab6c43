/* What the attacks share: the place where they crash, with three frames of its own. */
#ifndef CRASHCRAWLER_TESTS_ATTACKS_CRASH_H
#define CRASHCRAWLER_TESTS_ATTACKS_CRASH_H

#include "fixtures/fixture.h"

static int* volatile nowhere = 0;

FRAME static void write_through_null(void) {
  *nowhere = 42; /* crash here */
}

FRAME static void break_things(void) {
  write_through_null();
  RETURN_HERE();
}

FRAME static void attack(void) {
  break_things();
  RETURN_HERE();
}

#endif
