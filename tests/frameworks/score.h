/* Crashes and hangs on purpose: the code under test of every framework here, three frames above a write through a null
 * pointer, and two above a wait without an end. C and C++.
 */
#ifndef CRASHCRAWLER_TESTS_FRAMEWORKS_SCORE_H
#define CRASHCRAWLER_TESTS_FRAMEWORKS_SCORE_H

#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fixtures/fixture.h"

static int* volatile nowhere = NULL;

FRAME static int best_score(void) {
  return 42;
}

FRAME static void write_through_null(void) {
  *nowhere = best_score();
}

FRAME static void save_score(void) {
  write_through_null();
  RETURN_HERE();
}

FRAME static void finish_game(void) {
  save_score();
  RETURN_HERE();
}

/* The file says that it has come this far. */
FRAME static void wait_for_nobody(void) {
  close(open("hanging", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
  for (;;) {
    pause();
  }
}

FRAME static void await_score(void) {
  wait_for_nobody();
  RETURN_HERE();
}

/* Whether a child dies of what the framework, which has no tests for that, would take for a crash of its own. */
FRAME static int dies_on_purpose(void) {
  const pid_t child = fork();
  if (child == 0) {
    signal(SIGSEGV, SIG_DFL);
    finish_game();
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFSIGNALED(status);
}

#endif
