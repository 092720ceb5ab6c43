/* Crashes on purpose: with every signal ignored and blocked that can be. The kernel forces a SIGSEGV
 * of its own making through both. */
#include <signal.h>
#include <stddef.h>

#include "tests/integration/attacks/crash.h"

int main(void) {
  sigset_t all;
  sigfillset(&all);
  for (int number = 1; number < NSIG; ++number) {
    signal(number, SIG_IGN);
  }
  if (sigprocmask(SIG_BLOCK, &all, NULL) != 0) {
    return 1;
  }
  attack();
  return 0;
}
