// Crashes on purpose: the kernel's code in the vdso writes to a bad pointer.
#include <time.h>

__attribute__((noinline)) static int ask(struct timespec* where) {
  return clock_gettime(CLOCK_MONOTONIC, where) + 1;
}

__attribute__((noinline)) static int middle(struct timespec* where) {
  return ask(where) * 2;
}

int main(void) {
  return middle((struct timespec*)16) + 1;
}
