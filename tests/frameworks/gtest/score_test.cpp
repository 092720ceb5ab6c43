// Crashes on purpose, in its second test.
#include <gtest/gtest.h>

#include "tests/frameworks/score.h"

TEST(Score, is_the_best) {
  EXPECT_EQ(best_score(), 42);
}

TEST(Score, is_saved) {
  finish_game();
}
