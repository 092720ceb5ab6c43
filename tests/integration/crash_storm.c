/* Crashes on purpose, COUNT times as fast as it can: children from two processes at once write through a null pointer. */
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static int* volatile nowhere = 0;

static void crash_often(int count) {
  for (int i = 0; i < count; ++i) {
    const pid_t child = fork();
    if (child == 0) {
      *nowhere = 42;
    }
    waitpid(child, NULL, 0);
  }
}

int main(int count, char** arguments) {
  const int crashes = count > 1 ? atoi(arguments[1]) : 0;
  const pid_t other = fork();
  if (other == 0) {
    crash_often(crashes / 2);
    return 0;
  }
  crash_often(crashes - crashes / 2);
  waitpid(other, NULL, 0);
  return 0;
}
