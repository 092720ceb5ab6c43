/* Crashes on purpose: writes through a null pointer when its stack pointer is ADDRESS. */
#include <stdlib.h>

#include "tests/integration/attacks/crash.h"

FRAME static void crash_with_stack_pointer(unsigned long address) {
  __asm__ volatile("mov %0, %%rsp\n\tmovl $42, 0" : : "r"(address) : "memory"); /* crash here */
}

FRAME static void lose_the_stack(unsigned long address) {
  crash_with_stack_pointer(address);
  RETURN_HERE();
}

int main(int count, char** arguments) {
  lose_the_stack(count > 1 ? strtoul(arguments[1], NULL, 16) : 0);
  attack();
  return 0;
}
