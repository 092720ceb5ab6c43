// Crashes on purpose, in its second test.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>

#include "tests/frameworks/score.h"

TEST_CASE("score is the best") {
  CHECK(best_score() == 42);
}

TEST_CASE("score is saved") {
  finish_game();
}
