// Crashes and hangs on purpose, where a score is saved and where it is awaited.
#define CATCH_CONFIG_MAIN
#include <catch2/catch.hpp>

#include "tests/frameworks/score.h"

TEST_CASE("score is the best") {
  CHECK(best_score() == 42);
}

TEST_CASE("score is wrong") {
  CHECK(best_score() == 41);
}

TEST_CASE("score is refused") {
  CHECK(dies_on_purpose());
}

TEST_CASE("score is saved") {
  finish_game();
}

TEST_CASE("score is awaited") {
  await_score();
}

TEST_CASE("score is never reached") {
  CHECK(best_score() == 42);
}

TEST_CASE("score is saved in a section", "[.section]") {
  SECTION("deep") {
    finish_game();
  }
}
