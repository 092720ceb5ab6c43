// Crashes on purpose: a null write below some forty frames of three functions that call each other.
#include <stdlib.h>

static int* volatile nowhere;

static int first(int depth, int value);

__attribute__((noinline)) static int third(int depth, int value) {
  int kept[4] = {depth, value, value + depth, 1};
  if (depth == 0) {
    *nowhere = value;
  }
  const int result = first(depth - 1, value + kept[depth & 3]);
  return result * kept[value & 3];
}

__attribute__((noinline)) static int second(int depth, int value) {
  return third(depth, value ^ depth) + value;
}

__attribute__((noinline)) static int first(int depth, int value) {
  return second(depth, value + 1) - depth;
}

int main(int argc, char** argv) {
  return first(argc > 1 ? atoi(argv[1]) : 14, argc);
}
