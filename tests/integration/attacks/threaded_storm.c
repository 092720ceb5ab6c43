/* Crashes on purpose, COUNT times: children of twenty threads each, two of them at a time. */
#include <pthread.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/integration/attacks/crash.h"

enum { THREADS = 20, AT_A_TIME = 2 };

static pthread_barrier_t all_here;

static void* wait_for_ever(void* unused) {
  pthread_barrier_wait(&all_here);
  pause();
  return unused;
}

static void crash_with_threads(void) {
  pthread_barrier_init(&all_here, NULL, THREADS);
  for (int i = 1; i < THREADS; ++i) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, wait_for_ever, NULL) != 0) {
      _exit(1);
    }
  }
  pthread_barrier_wait(&all_here);
  attack();
}

int main(int count, char** arguments) {
  const int crashes = count > 1 ? atoi(arguments[1]) : 0;
  for (int i = 0; i < crashes; ++i) {
    if (i >= AT_A_TIME) {
      wait(NULL);
    }
    if (fork() == 0) {
      crash_with_threads();
    }
  }
  while (wait(NULL) > 0) {
  }
  return 0;
}
