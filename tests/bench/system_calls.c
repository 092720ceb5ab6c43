/* system_calls COUNT: that many system calls that do next to nothing. Prints the seconds it took. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char** argv) {
  const long count = argc > 1 ? strtol(argv[1], NULL, 10) : 5000000;
  struct timespec start, stop;
  clock_gettime(CLOCK_MONOTONIC, &start);
  for (long i = 0; i < count; i++) {
    syscall(SYS_getppid);
  }
  clock_gettime(CLOCK_MONOTONIC, &stop);
  printf("%.6f\n",
         (double)(stop.tv_sec - start.tv_sec) + 1e-9 * (double)(stop.tv_nsec - start.tv_nsec));
  return 0;
}
