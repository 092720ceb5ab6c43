// Part of programs that crash on purpose.
#include "tests/oracle/programs/library.h"

static int* volatile nowhere;

__attribute__((noinline)) static int through(int (*function)(int), int value) {
  return function(value + 1) - 1;
}

int library_call(int (*function)(int), int value) {
  return through(function, value) * 2;
}

static int crash(int value) {
  *nowhere = value;
  return value;
}

int library_crash(int value) {
  return library_call(crash, value) + 1;
}
