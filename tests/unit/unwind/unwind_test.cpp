// The stage as its callers see it.
#include "runner/unwind/unwind.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <thread>

#include "tests/unit/unwind/programs.h"

namespace crashcrawler {
namespace {

using tests::crash_of;
using tests::LiveSnapshot;
using tests::to_text;

// Kills our children as soon as they appear, `most` of them: what a hostile file does to the child from inside.
class ChildKiller {
 public:
  explicit ChildKiller(int most) : thread_([this, most] { run(most); }) {}
  ~ChildKiller() {
    done_ = true;
    thread_.join();
  }

 private:
  void run(int most) {
    std::set<pid_t> killed;
    while (!done_ && static_cast<int>(killed.size()) < most) {
      for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
        const pid_t pid = std::atoi(entry.path().filename().c_str());
        if (pid > 0 && parent_of(pid) == ::getpid() && killed.count(pid) == 0) {
          ::kill(pid, SIGSEGV);
          killed.insert(pid);
          break;
        }
      }
    }
  }

  static pid_t parent_of(pid_t pid) {
    std::ifstream stat("/proc/" + std::to_string(pid) + "/stat");
    std::string text;
    std::getline(stat, text);
    const size_t name_end = text.rfind(')');
    if (name_end == std::string::npos) {
      return -1;
    }
    std::istringstream fields(text.substr(name_end + 1));
    std::string state;
    pid_t parent = -1;
    fields >> state >> parent;
    return parent;
  }

  std::atomic<bool> done_{false};
  std::thread thread_;
};

// Deep stacks keep the child at work for about a second, without much to send.
UnwindLimits few_frames() {
  UnwindLimits limits;
  limits.frames = 10;
  return limits;
}

size_t count_failed(const std::vector<Backtrace>& backtraces, const std::string& error) {
  size_t count = 0;
  for (const Backtrace& backtrace : backtraces) {
    for (const std::string& found : backtrace.soft_errors) {
      count += found == "symbolisation failed: " + error;
    }
  }
  return count;
}

TEST(Unwind, gives_one_backtrace_for_each_crash_in_order) {
  LiveSnapshot first = crash_of("optimised", "null_write");
  LiveSnapshot second = crash_of("plain", "null_call");
  first.files.merge(second.files);
  const auto backtraces =
      unwind({first.crash, second.crash, first.crash}, first.files, UnwindLimits{});
  ASSERT_EQ(backtraces.size(), 3u);
  EXPECT_EQ(backtraces[0].threads.at(0).frames.at(1).function, "shop::middle(int*)");
  EXPECT_EQ(backtraces[1].threads.at(0).frames.at(1).function, "shop::call_target()");
  EXPECT_EQ(to_text(backtraces[2]), to_text(backtraces[0]));
  EXPECT_TRUE(unwind({}, {}, UnwindLimits{}).empty());
  EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1) << "no child is left";
}

TEST(Unwind, survives_the_death_of_its_child) {
  const LiveSnapshot snapshot = crash_of("static", "recursion");
  const std::vector<RawCrash> crashes(1000, snapshot.crash);
  std::vector<Backtrace> backtraces;
  {
    const ChildKiller killer(1);
    backtraces = unwind(crashes, snapshot.files, few_frames());
  }
  ASSERT_EQ(backtraces.size(), crashes.size());
  EXPECT_EQ(count_failed(backtraces, "child ended by SIGSEGV"), 1u);
  size_t whole = 0;
  for (const Backtrace& backtrace : backtraces) {
    ASSERT_EQ(backtrace.threads.size(), 1u);
    ASSERT_FALSE(backtrace.threads[0].frames.empty());
    const Frame& top = backtrace.threads[0].frames[0];
    ASSERT_TRUE(top.module);
    EXPECT_GT(top.module_offset, 0u);
    whole += top.function == "shop::recurse(int)";
  }
  EXPECT_EQ(whole, crashes.size() - 1);
}

TEST(Unwind, gives_a_program_up_that_kills_every_child) {
  const LiveSnapshot snapshot = crash_of("static", "recursion");
  std::vector<RawCrash> crashes(1000, snapshot.crash);
  crashes.back().executable = "/another/program";
  std::vector<Backtrace> backtraces;
  {
    const ChildKiller killer(3);
    backtraces = unwind(crashes, snapshot.files, few_frames());
  }
  ASSERT_EQ(backtraces.size(), crashes.size());
  EXPECT_EQ(count_failed(backtraces, "child ended by SIGSEGV"), 3u);
  EXPECT_GT(count_failed(backtraces, "given up for this program after 3 failures"), 0u);
  EXPECT_EQ(backtraces.back().threads.at(0).frames.at(0).function, "shop::recurse(int)");
}

TEST(Unwind, keeps_what_is_known_when_time_is_up) {
  const LiveSnapshot snapshot = crash_of("optimised", "null_write");
  UnwindLimits limits;
  limits.per_crash = std::chrono::seconds(0);
  const auto backtraces = unwind({snapshot.crash}, snapshot.files, limits);
  ASSERT_EQ(backtraces.size(), 1u);
  EXPECT_EQ(count_failed(backtraces, "child took longer than 0 s"), 1u);
  EXPECT_FALSE(backtraces[0].modules.empty());
  EXPECT_TRUE(backtraces[0].threads.at(0).frames.at(0).module);
}

TEST(Unwind, keeps_to_the_frame_limit) {
  const LiveSnapshot snapshot = crash_of("optimised", "recursion");
  UnwindLimits limits;
  limits.frames = 10;
  const Backtrace backtrace = tests::backtrace_of(snapshot, limits);
  EXPECT_EQ(backtrace.threads.at(0).frames.size(), 10u);
  EXPECT_GT(backtrace.threads[0].elided_frames, 590u);
}

}  // namespace
}  // namespace crashcrawler
