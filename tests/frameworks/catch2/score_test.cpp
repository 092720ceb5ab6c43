// Crashes on purpose, in its second test.
#define CATCH_CONFIG_MAIN
#include <catch2/catch.hpp>

#include "tests/frameworks/score.h"

TEST_CASE("score is the best") {
  CHECK(best_score() == 42);
}

TEST_CASE("score is saved") {
  finish_game();
}
