// Crashes on purpose: a null write in a callback, with a library called through the PLT and qsort() of the C library
// between.
#include <stdlib.h>

#include "tests/oracle/programs/library.h"

static int* volatile nowhere;

static int compare(const void* a, const void* b) {
  const int left = *(const int*)a, right = *(const int*)b;
  if (left + right == 7) {
    *nowhere = left;
  }
  return left - right;
}

static int sort(int value) {
  int numbers[] = {5, 1, value, 3, 6, 2};
  qsort(numbers, 6, sizeof *numbers, compare);
  return numbers[0];
}

int main(int argc, char** argv) {
  (void)argv;
  return library_call(sort, argc + 2) + 1;
}
