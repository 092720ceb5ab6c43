/* Crashes on purpose: what test_score.py calls, as a loaded library and as a program. */
#include "tests/frameworks/score.h"

void finish(void) {
  finish_game();
  RETURN_HERE();
}

int main(void) {
  finish();
  return 0;
}
