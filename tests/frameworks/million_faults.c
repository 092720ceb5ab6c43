/* Control: takes a million SIGSEGVs, steps over each instruction that caused one, and ends well. Prints the seconds it
 * took. */
#define _GNU_SOURCE
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <time.h>
#include <ucontext.h>

#include "fixtures/fixture.h"

enum { FAULTS = 1000000 };

static long faults;

static void step_over(int number, siginfo_t* info, void* context) {
  (void)number;
  (void)info;
  ((ucontext_t*)context)->uc_mcontext.gregs[REG_RIP] += 2; /* the length of the mov below */
  ++faults;
}

FRAME static void fault(void) {
  __asm__ volatile(".byte 0x89, 0x00" /* mov %eax, (%rax) */ : : "a"(0L) : "memory");
}

int main(void) {
  struct sigaction action = {.sa_sigaction = step_over, .sa_flags = SA_SIGINFO};
  struct timespec start, end;
  sigaction(SIGSEGV, &action, NULL);
  clock_gettime(CLOCK_MONOTONIC, &start);
  for (long i = 0; i < FAULTS; ++i) {
    fault();
  }
  clock_gettime(CLOCK_MONOTONIC, &end);
  printf("%.6f\n",
         (double)(end.tv_sec - start.tv_sec) + 1e-9 * (double)(end.tv_nsec - start.tv_nsec));
  return faults == FAULTS ? 0 : 1;
}
