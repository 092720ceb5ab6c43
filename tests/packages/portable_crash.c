/* Crashes on purpose, under the C library of any x86-64 system: without the start files of the system it was built on it
 * needs nothing that is newer than GLIBC_2.2.5. */
#include <stdlib.h>

#include "fixtures/fixture.h"

FRAME static void check_total(void) {
  abort();
  RETURN_HERE();
}

FRAME static void run_suite(void) {
  check_total();
  RETURN_HERE();
}

/* The entry point: nobody has called it, nor aligned the stack as the ABI has it at a call. */
__attribute__((force_align_arg_pointer)) void start_of_program(void) {
  __asm__ volatile(".cfi_undefined rip");
  run_suite();
  RETURN_HERE();
}
