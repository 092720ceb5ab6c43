/* Hangs on purpose: two workers each hold what the other wants, the main thread waits for them. "stubborn" as argument:
 * SIGTERM does not help either. "stopped": it stops itself by SIGSTOP, once everything hangs. */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "fixtures/fixture.h"

static pthread_mutex_t left = PTHREAD_MUTEX_INITIALIZER, right = PTHREAD_MUTEX_INITIALIZER;
static pthread_barrier_t both_hold_one;

FRAME static void take_second(pthread_mutex_t* wanted) {
  pthread_mutex_lock(wanted);
  RETURN_HERE();
}

FRAME static void take_both(pthread_mutex_t* held, pthread_mutex_t* wanted) {
  pthread_mutex_lock(held);
  pthread_barrier_wait(&both_hold_one);
  take_second(wanted);
  RETURN_HERE();
}

static void* work_leftwards(void* unused) {
  pthread_setname_np(pthread_self(), "leftwards");
  take_both(&right, &left);
  return unused;
}

static void* work_rightwards(void* unused) {
  pthread_setname_np(pthread_self(), "rightwards");
  take_both(&left, &right);
  return unused;
}

FRAME static void wait_for_workers(pthread_t* workers) {
  pthread_join(workers[0], NULL);
  pthread_join(workers[1], NULL);
  RETURN_HERE();
}

int main(int count, char** arguments) {
  const char* mode = count > 1 ? arguments[1] : "";
  pthread_t workers[2];

  if (strcmp(mode, "stubborn") == 0) {
    signal(SIGTERM, SIG_IGN);
  }
  pthread_barrier_init(&both_hold_one, NULL, 3);
  pthread_create(&workers[0], NULL, work_leftwards, NULL);
  pthread_create(&workers[1], NULL, work_rightwards, NULL);
  pthread_barrier_wait(&both_hold_one);
  if (strcmp(mode, "stopped") == 0) {
    raise(SIGSTOP);
  }
  wait_for_workers(workers);
  RETURN_HERE();
  return 0;
}
