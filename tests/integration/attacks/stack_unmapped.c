/* Crashes on purpose: writes through a null pointer when its whole stack is unmapped. */
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>

#include "tests/integration/attacks/crash.h"

FRAME static int find_stack(unsigned long* start, unsigned long* end) {
  FILE* maps = fopen("/proc/self/maps", "r");
  char line[512];
  int found = 0;
  while (!found && maps && fgets(line, sizeof line, maps)) {
    found = strstr(line, "[stack]") != NULL && sscanf(line, "%lx-%lx", start, end) == 2;
  }
  return found;
}

FRAME static void unmap_and_crash(unsigned long start, unsigned long length) {
  __asm__ volatile("syscall\n\tmovl $42, 0" /* crash here */
                   :
                   : "a"((long)SYS_munmap), "D"(start), "S"(length)
                   : "rcx", "r11", "memory");
}

int main(void) {
  unsigned long start = 0;
  unsigned long end = 0;
  if (!find_stack(&start, &end)) {
    return 1;
  }
  unmap_and_crash(start, end - start);
  attack();
  return 0;
}
