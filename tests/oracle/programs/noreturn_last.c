// Aborts on purpose: the calls of functions that do not return are the last instructions of their callers, so that the
// return address belongs to what comes after.
#include <stdlib.h>

__attribute__((noreturn, noinline)) static void give_up(void) {
  abort();
}

__attribute__((noreturn, noinline)) static void fail(int code) {
  if (code > 100) {
    exit(code);
  }
  give_up();
}

__attribute__((noinline)) static int check(int value) {
  if (value > 0) {
    fail(value);
  }
  return value;
}

int main(int argc, char** argv) {
  (void)argv;
  return check(argc);
}
