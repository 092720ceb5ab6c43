/* Crashes on purpose: with COUNT regions of one page in its memory map. The C library is on the
 * stack, so that a walk past it needs to know where it lies. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "tests/integration/attacks/crash.h"

FRAME static int compare(const void* left, const void* right) {
  attack();
  return left < right;
}

int main(int count, char** arguments) {
  const size_t page = 4096;
  const long regions = count > 1 ? atol(arguments[1]) : 0;
  char* block = mmap(NULL, (size_t)regions * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  int numbers[] = {2, 1};
  for (long i = 0; i < regions; i += 2) { /* neighbours that differ cannot be merged */
    if (mprotect(block + (size_t)i * page, page, PROT_READ) != 0) {
      perror("mprotect");
      return 1;
    }
  }
  qsort(numbers, 2, sizeof numbers[0], compare);
  RETURN_HERE();
  return 0;
}
