#include "runner/classify/last_words.h"

#include <gtest/gtest.h>

#include <csignal>
#include <cstring>
#include <string>

namespace crashcrawler {
namespace {

constexpr uint64_t kHeader = 0x10000;  // of the exception
constexpr uint64_t kObject = kHeader + 32;
constexpr uint64_t kType = 0x20000, kTypeName = 0x30000, kText = 0x40000;

std::string words_of(std::initializer_list<uint64_t> values) {
  std::string bytes;
  for (const uint64_t value : values) {
    bytes.append(reinterpret_cast<const char*>(&value), sizeof value);
  }
  return bytes;
}

Backtrace ends_in(const std::string& function) {
  Backtrace backtrace;
  Frame frame;
  frame.function = function;
  backtrace.threads.emplace_back().frames = {frame};
  return backtrace;
}

RawCrash aborted() {
  RawCrash crash;
  crash.signal.number = SIGABRT;
  return crash;
}

RawCrash thrown(const std::string& type, const std::string& object) {
  RawCrash crash = aborted();
  crash.exception = kHeader;
  crash.memory = {{kHeader - 80, words_of({kType}) + std::string(72 + 32, '\0') + object},
                  {kType, words_of({0x99, kTypeName})},
                  {kTypeName, type + '\0' + "rest"},
                  {kText, std::string("negative size\0rest", 18)}};
  return crash;
}

const Backtrace kTerminated = ends_in("std::terminate()");

TEST(LastWords, AreWhatTheCLibraryWroteDown) {
  RawCrash crash = aborted();
  crash.abort_message = "a.c:3: f: Assertion `x' failed.\n";
  EXPECT_EQ(last_words(crash, ends_in("abort")), "a.c:3: f: Assertion `x' failed.");
}

TEST(LastWords, AreOfNoOtherSignal) {
  RawCrash crash = aborted();
  crash.abort_message = "written before";
  crash.signal.number = SIGSEGV;
  EXPECT_EQ(last_words(crash, ends_in("f")), "");
}

TEST(LastWords, TellTypeAndWordsOfAnUncaughtException) {
  const RawCrash crash = thrown("St13runtime_error", words_of({0x77, kText}));
  EXPECT_EQ(last_words(crash, kTerminated),
            "uncaught exception of type std::runtime_error: negative size");
  EXPECT_EQ(last_words(crash, ends_in("abort")), "") << "an exception that was caught before";
}

TEST(LastWords, TellTheTypeAloneWhereNoWordsAreKept) {
  EXPECT_EQ(last_words(thrown("St9bad_alloc", words_of({0x77})), kTerminated),
            "uncaught exception of type std::bad_alloc");
}

TEST(LastWords, TellThrownNumbersAndStrings) {
  EXPECT_EQ(last_words(thrown("i", words_of({0xffffffffffffffff})), kTerminated),
            "uncaught exception of type int: -1");
  EXPECT_EQ(last_words(thrown("PKc", words_of({kText})), kTerminated),
            "uncaught exception of type char const*: negative size");
}

TEST(LastWords, DoNotTakeBytesForText) {
  RawCrash crash = thrown("3Odd", words_of({0x77, kText}));
  crash.memory.back().bytes = "\x01\x02\xff";
  EXPECT_EQ(last_words(crash, kTerminated), "uncaught exception of type Odd");
}

TEST(LastWords, SurviveMemoryThatIsNotThere) {
  RawCrash crash = aborted();
  crash.exception = kHeader;
  EXPECT_EQ(last_words(crash, kTerminated), "");
  crash.memory = {{kHeader - 80, "abc"}};
  EXPECT_EQ(last_words(crash, kTerminated), "");
}

TEST(LastWords, AreFoundInDeadStack) {
  RawCrash crash = aborted();
  RawThread& thread = crash.threads.emplace_back();
  thread.registers.rsp = 0x5000 - 64;
  std::string bytes(0x1000, '\0');
  bytes.replace(100, 40, "\nAssertion failed: x > 0 (f: a.c: 12)\nno");
  thread.stack = {{0x4000, bytes}};
  EXPECT_EQ(last_words(crash, ends_in("abort")), "Assertion failed: x > 0 (f: a.c: 12)");
}

RawCrash with_dead_stack(const std::string& bytes) {
  RawCrash crash = aborted();
  RawThread& thread = crash.threads.emplace_back();
  thread.stack = {{0x7000, bytes}};
  thread.registers.rsp = 0x7000 + bytes.size();
  return crash;
}

TEST(LastWords, OfRustAreThePlaceAndTheReason) {
  const std::string place = "\nthread 'main' (7) panicked at src/main.rs:2:61:";
  const Backtrace stack = ends_in("abort");
  EXPECT_EQ(last_words(with_dead_stack("x" + place + "\nindex out of bounds\nnote: x"), stack),
            "thread 'main' (7) panicked at src/main.rs:2:61: index out of bounds");
  EXPECT_EQ(last_words(with_dead_stack("thread 'main' panicked at 'no', a.rs:2:3\nnote: x"), stack),
            "thread 'main' panicked at 'no', a.rs:2:3")
      << "before 1.73";
  EXPECT_EQ(last_words(with_dead_stack(place), stack),
            "thread 'main' (7) panicked at src/main.rs:2:61:");
  EXPECT_EQ(last_words(with_dead_stack(place + "\n"), stack),
            "thread 'main' (7) panicked at src/main.rs:2:61:");
  EXPECT_EQ(last_words(with_dead_stack(place + std::string(1, '\0') + "other"), stack),
            "thread 'main' (7) panicked at src/main.rs:2:61:");
}

}  // namespace
}  // namespace crashcrawler
