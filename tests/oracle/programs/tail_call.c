// Crashes on purpose: a null write in a function that others jump to instead of calling it.
#include <stdlib.h>

static int* volatile nowhere;

__attribute__((noinline)) static int crash(int value) {
  *nowhere = value;
  return value;
}

__attribute__((noinline)) static int jumps_on(int value) {
  return crash(value * 3);
}

__attribute__((noinline)) static int jumps(int value) {
  return jumps_on(value + 1);
}

__attribute__((noinline)) static int calls(int value) {
  return jumps(value) + value;
}

int main(int argc, char** argv) {
  (void)argv;
  return calls(argc) + 1;
}
