// Crashes on purpose: a test of GoogleTest for every way in which one gets its name, and deaths that are wanted beside some
// that look like it and are not.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <thread>

#include "fixtures/fixture.h"

namespace {

int* volatile nowhere = nullptr;

FRAME void write_through_null() {
  *nowhere = 42;
  RETURN_HERE();
}

FRAME void save_score() {
  write_through_null();
  RETURN_HERE();
}

TEST(Plain, Crashes) {
  save_score();
}

class Game_Score : public testing::Test {};

TEST_F(Game_Score, is_not_saved) {
  save_score();
}

class Levels : public testing::TestWithParam<int> {};

TEST_P(Levels, CrashOnTheSecond) {
  if (GetParam() == 2) {
    save_score();
  }
}
INSTANTIATE_TEST_SUITE_P(Inst, Levels, testing::Values(1, 2, 3));

template <typename T>
class Typed : public testing::Test {};
TYPED_TEST_SUITE(Typed, testing::Types<char>);

TYPED_TEST(Typed, Crashes) {
  save_score();
}

template <typename T>
class Pattern : public testing::Test {};
TYPED_TEST_SUITE_P(Pattern);

TYPED_TEST_P(Pattern, Crashes) {
  save_score();
}
REGISTER_TYPED_TEST_SUITE_P(Pattern, Crashes);
INSTANTIATE_TYPED_TEST_SUITE_P(My, Pattern, testing::Types<int>);

TEST(Threads, CrashInAnother) {
  std::thread worker(save_score);
  worker.join();
}

TEST(Wanted, Fast) {
  GTEST_FLAG_SET(death_test_style, "fast");
  EXPECT_DEATH({ save_score(); }, "");
}

TEST(Wanted, ThreadSafe) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(save_score(), "");
}

TEST(Wanted, BySignal) {
  GTEST_FLAG_SET(death_test_style, "fast");
  EXPECT_EXIT(save_score(), testing::KilledBySignal(SIGSEGV), "");
}

TEST(Unwanted, AnotherSignal) {
  GTEST_FLAG_SET(death_test_style, "fast");
  EXPECT_EXIT(save_score(), testing::KilledBySignal(SIGABRT), "");
}

// The death test is content with whatever dies, here what it needs before its statement.
TEST(Unwanted, BeforeTheStatement) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  if (getenv("BREAK_THE_CHILD") != nullptr) {
    save_score();
  }
  setenv("BREAK_THE_CHILD", "1", 1);
  EXPECT_DEATH(abort(), "");
}

TEST(Unwanted, ChildOfItsOwn) {
  const pid_t child = fork();
  if (child == 0) {
    save_score();
    _exit(0);
  }
  waitpid(child, nullptr, 0);
}

TEST(Unwanted, TheParentAfterIt) {
  GTEST_FLAG_SET(death_test_style, "fast");
  EXPECT_DEATH(abort(), "");
  save_score();
}

}  // namespace
