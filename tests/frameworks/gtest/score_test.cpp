// Crashes and hangs on purpose: a test of GoogleTest for every way in which one gets its name, and deaths that are wanted
// beside some that look like it and are not.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <thread>

#include "tests/frameworks/score.h"

TEST(Score, is_the_best) {
  EXPECT_EQ(best_score(), 42);
}

TEST(Score, is_wrong) {
  EXPECT_EQ(best_score(), 41) << "it is <not>";
}

TEST(Score, is_skipped) {
  GTEST_SKIP() << "not today";
}

TEST(Score, is_refused) {
  EXPECT_DEATH(finish_game(), "");
}

TEST(Score, is_saved) {
  finish_game();
}

TEST(Score, is_awaited) {
  await_score();
}

TEST(Score, is_never_reached) {
  EXPECT_EQ(best_score(), 42);
}

namespace {

TEST(Plain, Crashes) {
  finish_game();
}

class Game_Score : public testing::Test {};

TEST_F(Game_Score, is_not_saved) {
  finish_game();
}

class Levels : public testing::TestWithParam<int> {};

TEST_P(Levels, CrashOnTheSecond) {
  if (GetParam() == 2) {
    finish_game();
  }
}
INSTANTIATE_TEST_SUITE_P(Inst, Levels, testing::Values(1, 2, 3));

template <typename T>
class Typed : public testing::Test {};
TYPED_TEST_SUITE(Typed, testing::Types<char>);

TYPED_TEST(Typed, Crashes) {
  finish_game();
}

template <typename T>
class Pattern : public testing::Test {};
TYPED_TEST_SUITE_P(Pattern);

TYPED_TEST_P(Pattern, Crashes) {
  finish_game();
}
REGISTER_TYPED_TEST_SUITE_P(Pattern, Crashes);
INSTANTIATE_TYPED_TEST_SUITE_P(My, Pattern, testing::Types<int>);

TEST(Threads, CrashInAnother) {
  std::thread worker(finish_game);
  worker.join();
}

TEST(Wanted, Fast) {
  GTEST_FLAG_SET(death_test_style, "fast");
  EXPECT_DEATH({ finish_game(); }, "");
}

TEST(Wanted, ThreadSafe) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(finish_game(), "");
}

TEST(Wanted, BySignal) {
  GTEST_FLAG_SET(death_test_style, "fast");
  EXPECT_EXIT(finish_game(), testing::KilledBySignal(SIGSEGV), "");
}

TEST(Unwanted, AnotherSignal) {
  GTEST_FLAG_SET(death_test_style, "fast");
  EXPECT_EXIT(finish_game(), testing::KilledBySignal(SIGABRT), "");
}

// The death test is content with whatever dies, here what it needs before its statement.
TEST(Unwanted, BeforeTheStatement) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  if (getenv("BREAK_THE_CHILD") != nullptr) {
    finish_game();
  }
  setenv("BREAK_THE_CHILD", "1", 1);
  EXPECT_DEATH(abort(), "");
}

TEST(Unwanted, ChildOfItsOwn) {
  const pid_t child = fork();
  if (child == 0) {
    finish_game();
    _exit(0);
  }
  waitpid(child, nullptr, 0);
}

TEST(Unwanted, TheParentAfterIt) {
  GTEST_FLAG_SET(death_test_style, "fast");
  EXPECT_DEATH(abort(), "");
  finish_game();
}

}  // namespace
