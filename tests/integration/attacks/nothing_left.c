/* Crashes on purpose: without descriptors, its executable unlinked, in a working directory that is
 * deleted, and with another root. Takes an empty folder to do that in; its own executable is gone
 * afterwards. */
#define _GNU_SOURCE
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/integration/attacks/crash.h"

static int leave_everything(const char* executable, const char* folder) {
  return unlink(executable) != 0 || chdir(folder) != 0 || mkdir("doomed", 0700) != 0 ||
         chdir("doomed") != 0 || chroot("..") != 0 || rmdir("../doomed") != 0 ||
         close_range(0, ~0U, 0) != 0;
}

int main(int count, char** arguments) {
  if (count != 2 || leave_everything(arguments[0], arguments[1]) != 0) {
    perror("nothing_left");
    return 1;
  }
  attack();
  return 0;
}
