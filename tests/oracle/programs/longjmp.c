// Crashes on purpose: a null write after longjmp() has taken the process out of some frames and back to one that calls
// others.
#include <setjmp.h>

static int* volatile nowhere;

static jmp_buf place;
static volatile int reached;

__attribute__((noinline)) static void jump(int depth) {
  if (depth == 0) {
    longjmp(place, 1);
  }
  jump(depth - 1);
  reached = depth;
}

__attribute__((noinline)) static int crash(int value) {
  *nowhere = value;
  return value;
}

__attribute__((noinline)) static int try_it(int value) {
  if (setjmp(place) == 0) {
    jump(value + 5);
  }
  return crash(value) + reached;
}

int main(int argc, char** argv) {
  (void)argv;
  return try_it(argc) + 1;
}
