/* Crashes on purpose: the code under test of every framework here, three frames above a write through a null pointer.
 * C and C++.
 */
#ifndef CRASHCRAWLER_TESTS_FRAMEWORKS_SCORE_H
#define CRASHCRAWLER_TESTS_FRAMEWORKS_SCORE_H

#include <stddef.h>

#include "fixtures/fixture.h"

static int* volatile nowhere = NULL;

FRAME static int best_score(void) {
  return 42;
}

FRAME static void write_through_null(void) {
  *nowhere = best_score();
}

FRAME static void save_score(void) {
  write_through_null();
  RETURN_HERE();
}

FRAME static void finish_game(void) {
  save_score();
  RETURN_HERE();
}

#endif
