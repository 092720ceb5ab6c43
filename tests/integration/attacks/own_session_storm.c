/* Crashes on purpose, COUNT times: children that nobody waits for until the end, each in a session
 * and process group of its own. */
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/integration/attacks/crash.h"

int main(int count, char** arguments) {
  const int crashes = count > 1 ? atoi(arguments[1]) : 0;
  for (int i = 0; i < crashes; ++i) {
    const pid_t child = fork();
    if (child < 0) {
      return 1;
    }
    if (child == 0) {
      setsid();
      attack();
    }
  }
  while (wait(NULL) > 0) {
  }
  return 0;
}
