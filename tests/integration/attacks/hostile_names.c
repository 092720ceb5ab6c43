/* Crashes on purpose: a process whose name, thread names and command line (it executes itself anew for that) are made
 * of control characters, a terminal's escape sequences, bytes that are no UTF-8, and what ends a CDATA section. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "tests/integration/attacks/crash.h"

static pthread_barrier_t all_here;

static void* wait_for_ever(void* name) {
  pthread_setname_np(pthread_self(), name);
  pthread_barrier_wait(&all_here);
  pause();
  return NULL;
}

int main(int count, char** arguments) {
  static char* names[] = {"\x1b[31mred\x1b[0m", "]]>&<!--", "\xff\xfe\xc3\x28\xed\xa0\x80",
                          "a\r\nb\b\x7f\xc2\x9b"};
  if (count == 1) {
    char* hostile[] = {"\x1b]0;title\a", "]]><error/>", "\xff\xfe\x01\x02", "\x1b[2J", NULL};
    execv("/proc/self/exe", hostile);
    return 1;
  }
  pthread_barrier_init(&all_here, NULL, 5);
  for (int i = 0; i < 4; ++i) {
    pthread_t thread;
    pthread_create(&thread, NULL, wait_for_ever, names[i]);
  }
  pthread_barrier_wait(&all_here);
  prctl(PR_SET_NAME, "\x01\x02\x03\x04\x1b[7m]]>\xff\x7f\r\n");
  attack();
  return arguments[0] == NULL;
}
