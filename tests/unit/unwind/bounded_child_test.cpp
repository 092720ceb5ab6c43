#include "runner/unwind/bounded_child.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <fstream>
#include <new>
#include <optional>

namespace crashcrawler {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

// "value" or "! error", by item.
std::vector<std::string> outcomes(size_t items, const ChildLimits& limits,
                                  const std::function<std::string(size_t)>& work) {
  std::vector<std::string> results;
  work_in_child(items, limits, work, [&](size_t i, const Result<std::string>& bytes) {
    EXPECT_EQ(i, results.size()) << "in order";
    results.push_back(bytes ? *bytes : "! " + bytes.error().message);
  });
  return results;
}

std::string one_outcome(const std::function<std::string()>& work, const ChildLimits& limits = {}) {
  return outcomes(1, limits, [&](size_t) { return work(); }).at(0);
}

void expect_no_children() {
  EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1);
  EXPECT_EQ(errno, ECHILD);
}

TEST(BoundedChild, does_all_items_in_one_child) {
  int calls = 0;
  const auto results = outcomes(
      1000, {}, [&](size_t i) { return std::to_string(i) + ":" + std::to_string(++calls); });
  ASSERT_EQ(results.size(), 1000u);
  EXPECT_EQ(results[999], "999:1000");
  EXPECT_EQ(calls, 0) << "the work was not done in this process";
  expect_no_children();
}

TEST(BoundedChild, brings_over_long_and_empty_answers) {
  const auto results =
      outcomes(2, {}, [](size_t i) { return i == 0 ? std::string() : std::string(10 << 20, 'x'); });
  EXPECT_EQ(results[0], "");
  EXPECT_EQ(results[1].size(), size_t{10} << 20);
}

TEST(BoundedChild, goes_on_after_a_death) {
  const auto results = outcomes(4, {}, [](size_t i) -> std::string {
    if (i == 1) {
      ::raise(SIGSEGV);
    }
    if (i == 2) {
      ::_exit(9);
    }
    return "fine";
  });
  EXPECT_THAT(results, testing::ElementsAre("fine", "! child ended by SIGSEGV",
                                            "! child ended with status 9", "fine"));
  expect_no_children();
}

TEST(BoundedChild, sees_in_a_new_child_what_was_delivered) {
  int failures = 0;
  std::string seen;
  work_in_child(
      2, {},
      [&](size_t i) {
        if (i == 0) {
          ::raise(SIGABRT);
        }
        return std::to_string(failures);
      },
      [&](size_t, const Result<std::string>& bytes) {
        failures += bytes ? 0 : 1;
        seen = bytes ? *bytes : "";
      });
  EXPECT_EQ(seen, "1");
}

TEST(BoundedChild, ends_what_hangs) {
  ChildLimits limits;
  limits.per_item = std::chrono::seconds(1);
  const auto results = outcomes(2, limits, [](size_t i) {
    while (i == 0) {
      ::pause();
    }
    return std::string("fine");
  });
  EXPECT_EQ(results[0], "! child took longer than 1 s");
  EXPECT_EQ(results[1], "fine");
  expect_no_children();
}

TEST(BoundedChild, bounds_memory) {
#if defined(__SANITIZE_ADDRESS__)
  GTEST_SKIP() << "AddressSanitizer needs terabytes of address space: the limit is not set";
#endif
  ChildLimits limits;
  limits.memory = size_t{64} << 20;
  const std::string outcome = one_outcome([] { return std::string(size_t{1} << 30, 'x'); }, limits);
  EXPECT_EQ(outcome, "! child could not get more than 64 MiB of memory");
  EXPECT_EQ(one_outcome([] { return std::string(8 << 20, 'x'); }, limits).size(), size_t{8} << 20);
}

TEST(BoundedChild, takes_exceptions_for_failures) {
  EXPECT_THAT(one_outcome([]() -> std::string { throw std::runtime_error("x"); }),
              StartsWith("! child ended with status"));
}

TEST(BoundedChild, moves_the_limit_of_processor_time_on) {
  ChildLimits limits;
  limits.per_item = std::chrono::seconds(100);
  const std::string outcome = one_outcome(
      [] {
        rlimit limit{};
        ::getrlimit(RLIMIT_CPU, &limit);
        return std::to_string(limit.rlim_cur > 100 && limit.rlim_cur < 110);
      },
      limits);
  EXPECT_EQ(outcome, "1");
}

TEST(BoundedChild, believes_no_length) {
  // The child of a hostile file may write anything into the pipe: here the first descriptor that is one.
  const std::string outcome = one_outcome([]() -> std::string {
    for (int fd = 3; fd < 1000; ++fd) {
      if (::fcntl(fd, F_GETFL) == O_WRONLY) {
        const uint64_t length = ~uint64_t{0};
        EXPECT_EQ(::write(fd, &length, sizeof length), static_cast<ssize_t>(sizeof length));
      }
    }
    ::pause();
    return {};
  });
  EXPECT_EQ(outcome, "! child sent a broken message");
}

TEST(BoundedChild, runs_no_exit_handlers) {
  static int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  std::atexit([] { [[maybe_unused]] const ssize_t put = ::write(ends[1], "x", 1); });
  ChildLimits limits;
  limits.open_files = {ends[1]};
  one_outcome([]() -> std::string { throw std::runtime_error("the quickest way out"); }, limits);
  ::fcntl(ends[0], F_SETFL, O_NONBLOCK);
  char byte = 0;
  EXPECT_EQ(::read(ends[0], &byte, 1), -1) << "the child's exit has written";
}

TEST(BoundedChild, has_only_the_files_it_needs) {
  const int kept = ::open("/dev/null", O_RDONLY), other = ::open("/dev/null", O_RDONLY);
  ChildLimits limits;
  limits.open_files = {kept};
  const std::string outcome = one_outcome(
      [&] {
        return std::to_string(::fcntl(kept, F_GETFD) >= 0) +
               std::to_string(::fcntl(other, F_GETFD) >= 0);
      },
      limits);
  EXPECT_EQ(outcome, "10");
  ::close(kept);
  ::close(other);
}

TEST(BoundedChild, is_not_dumpable_and_has_default_signals) {
  struct sigaction ours {};
  ours.sa_handler = [](int) {};
  struct sigaction before {};
  ::sigaction(SIGUSR1, &ours, &before);
  const std::string outcome = one_outcome([] {
    struct sigaction now {};
    ::sigaction(SIGUSR1, nullptr, &now);
    const bool is_default = now.sa_handler == SIG_DFL;
    ::sigaction(SIGINT, nullptr, &now);
    return std::to_string(::prctl(PR_GET_DUMPABLE)) + (is_default ? " default" : " handled") +
           (now.sa_handler == SIG_IGN ? " ignored" : " heard");
  });
  EXPECT_EQ(outcome, "0 default ignored");
  ::sigaction(SIGUSR1, &before, nullptr);
}

}  // namespace
}  // namespace crashcrawler
