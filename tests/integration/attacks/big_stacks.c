/* Crashes on purpose, COUNT times: children that have filled 256 KiB of stack each, from two
 * processes at once and as fast as they can. */
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/integration/attacks/crash.h"

FRAME static void fill_stack(int kilobytes) {
  volatile char kilobyte[1024];
  memset((char*)kilobyte, kilobytes, sizeof kilobyte);
  if (kilobytes == 0) {
    attack();
  } else {
    fill_stack(kilobytes - 1);
  }
  RETURN_HERE();
}

static void crash_often(int count) {
  for (int i = 0; i < count; ++i) {
    const pid_t child = fork();
    if (child == 0) {
      fill_stack(256);
    }
    waitpid(child, NULL, 0);
  }
}

int main(int count, char** arguments) {
  const int crashes = count > 1 ? atoi(arguments[1]) : 0;
  const pid_t other = fork();
  crash_often(crashes / 2);
  if (other != 0) {
    waitpid(other, NULL, 0);
  }
  return 0;
}
