/* Crashes on purpose: COUNT children, one after the other, that have written to MEGABYTES of memory
 * each. Prints, for each, how many milliseconds passed between its crash and the moment its parent
 * knew of it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int* volatile nowhere = NULL;

static double milliseconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static void fill(unsigned* memory, size_t words) {
  for (size_t i = 0; i < words; ++i) {
    memory[i] =
        (unsigned)i * 2654435761u; /* not all the same: a compressor would have it too easy */
  }
}

static double time_one(size_t bytes) {
  int ready[2];
  double crashed = 0;
  if (pipe(ready) != 0) {
    exit(1);
  }
  const pid_t child = fork();
  if (child == 0) {
    fill(malloc(bytes), bytes / sizeof(unsigned));
    crashed = milliseconds();
    if (write(ready[1], &crashed, sizeof crashed) == sizeof crashed) {
      *nowhere = 42;
    }
    _exit(1);
  }
  if (read(ready[0], &crashed, sizeof crashed) != sizeof crashed ||
      waitpid(child, NULL, 0) != child) {
    exit(1);
  }
  close(ready[0]);
  close(ready[1]);
  return milliseconds() - crashed;
}

int main(int count, char** arguments) {
  const int crashes = count > 2 ? atoi(arguments[1]) : 0;
  const size_t bytes = count > 2 ? (size_t)atol(arguments[2]) << 20 : 0;
  for (int i = 0; i < crashes; ++i) {
    printf("%.1f\n", time_one(bytes));
  }
  return 0;
}
