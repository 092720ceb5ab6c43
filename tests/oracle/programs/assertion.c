// Aborts on purpose: a failed assertion in a function that atexit() registered.
#undef NDEBUG
#include <assert.h>
#include <stdlib.h>

static int balance = 3;

__attribute__((noinline)) static void check(int expected) {
  assert(balance == expected);
}

static void at_exit(void) {
  check(balance + 1);
}

int main(void) {
  atexit(at_exit);
  return 0;
}
