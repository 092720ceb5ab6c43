/* thread_create COUNT: that many threads, one after the other, each of which ends at once. Prints
 * the seconds it took. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static void* end(void* unused) {
  return unused;
}

int main(int argc, char** argv) {
  const long count = argc > 1 ? strtol(argv[1], NULL, 10) : 20000;
  struct timespec start, stop;
  clock_gettime(CLOCK_MONOTONIC, &start);
  for (long i = 0; i < count; i++) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, end, NULL) != 0 || pthread_join(thread, NULL) != 0) {
      perror("thread_create");
      return 1;
    }
  }
  clock_gettime(CLOCK_MONOTONIC, &stop);
  printf("%.6f\n",
         (double)(stop.tv_sec - start.tv_sec) + 1e-9 * (double)(stop.tv_nsec - start.tv_nsec));
  return 0;
}
