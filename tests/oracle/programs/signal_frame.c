// Crashes on purpose: a null write in a handler that interrupted raise(), called from a handler that interrupted raise()
// too. With SECOND_STACK the inner one runs on a stack of its own.
#include <signal.h>
#include <string.h>

static int* volatile nowhere;
static volatile int done;
static char stack[65536];

__attribute__((noinline)) static void crash(int signal) {
  *nowhere = signal;
}

static void on_second(int signal) {
  crash(signal + 1);
  done = signal;
}

static void on_first(int signal, siginfo_t* info, void* context) {
  (void)context;
  raise(SIGUSR2);
  done = signal + info->si_code;
}

__attribute__((noinline)) static int interrupted(int value) {
  return raise(value > 0 ? SIGUSR1 : SIGTERM) + value;
}

int main(int argc, char** argv) {
  (void)argv;
  const stack_t alternate = {.ss_sp = stack, .ss_size = sizeof stack};
  sigaltstack(&alternate, 0);
  struct sigaction action;
  memset(&action, 0, sizeof action);
  action.sa_handler = on_second;
#ifdef SECOND_STACK
  action.sa_flags = SA_ONSTACK;
#endif
  sigaction(SIGUSR2, &action, 0);
  action.sa_sigaction = on_first;
  action.sa_flags = SA_SIGINFO;
  sigaction(SIGUSR1, &action, 0);
  return interrupted(argc) + 1;
}
