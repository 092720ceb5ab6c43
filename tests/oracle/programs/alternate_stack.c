// Aborts on purpose: in a handler that runs on a stack of its own, after a read of a null pointer.
#include <signal.h>
#include <stdlib.h>
#include <string.h>

static char stack[65536];

__attribute__((noinline)) static void say_and_abort(int signal) {
  if (signal == SIGSEGV) {
    abort();
  }
}

static void on_fault(int signal) {
  say_and_abort(signal);
}

__attribute__((noinline)) static int read_it(const volatile int* place) {
  return *place + 1;
}

__attribute__((noinline)) static int middle(const volatile int* place) {
  return read_it(place) * 2;
}

int main(void) {
  const stack_t alternate = {.ss_sp = stack, .ss_size = sizeof stack};
  sigaltstack(&alternate, 0);
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_handler = on_fault;
  action.sa_flags = SA_ONSTACK;
  sigaction(SIGSEGV, &action, 0);
  return middle(0) + 1;
}
