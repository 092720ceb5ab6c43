/* Crashes and hangs on purpose: what test_score.py calls, as a loaded library and as a program. */
#include "tests/frameworks/score.h"

void finish(void) {
  finish_game();
  RETURN_HERE();
}

void await_nobody(void) {
  await_score();
  RETURN_HERE();
}

int main(int argc, char** argv) {
  (void)argv;
  if (argc > 1) {
    await_nobody();
  }
  finish();
  return 0;
}
