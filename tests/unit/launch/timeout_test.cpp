// The time-out of supervise(). It is over at once; the one who looks at the processes then waits for the script to
// write to a fifo, so every script is where the test wants it, however slow the machine is.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "runner/launch/process_tree.h"
#include "runner/launch/supervise.h"
#include "tests/unit/launch/process_support.h"

namespace crashcrawler {
namespace {

using testing::ForkedProcess;
using ::testing::HasSubstr;
using testing::wrap;

constexpr std::chrono::milliseconds kForEver = std::chrono::hours(24);
constexpr std::chrono::milliseconds kAtOnce{1};

void say(const std::string& line) {
  EXPECT_EQ(::write(STDOUT_FILENO, line.data(), line.size()), static_cast<ssize_t>(line.size()));
}

class Timeout : public ::testing::Test {
 protected:
  Timeout() { EXPECT_EQ(::mkfifo(fifo_.c_str(), 0600), 0); }

  // "READY" in it stands for telling that the script is ready.
  static std::string script(std::string text) {
    const size_t at = text.find("READY");
    return at == std::string::npos ? text : text.replace(at, 5, "echo > \"$READY\"");
  }

  Supervision with(std::chrono::milliseconds timeout, std::chrono::milliseconds grace) const {
    Supervision supervision;
    supervision.timeout = timeout;
    supervision.grace = grace;
    supervision.kill_tree = [] { say("tree killed\n"); };
    supervision.at_timeout = [this](const std::vector<pid_t>& pids) {
      testing::read_line(::open(fifo_.c_str(), O_RDONLY | O_CLOEXEC));
      say(pids.empty() ? "nobody\n" : "looked\n");
      return std::vector<std::string>{"something was missing"};
    };
    return supervision;
  }

  int run(const std::string& text, const Supervision& supervision,
          const testing::ScratchCgroup* cgroup = nullptr) const {
    ::setenv("READY", fifo_.c_str(), 1);
    return wrap(script(text), supervision, cgroup);
  }

  testing::ScratchFolder folder_;
  std::string fifo_ = folder_.path() + "/ready";
};

TEST_F(Timeout, OfACommandThatEndsInTimeIsNone) {
  ForkedProcess wrapper([this] { return run("exit 42", with(kForEver, kForEver)); });
  EXPECT_EQ(wrapper.read_all(), "outcome exit=42 signal=0 interrupted=0 leftovers= errors=0\n");
}

TEST_F(Timeout, LetsTheCommandEndItself) {
  ForkedProcess wrapper([this] {
    return run("trap 'echo terminated; exit 3' TERM; READY; read line", with(kAtOnce, kForEver));
  });
  EXPECT_EQ(wrapper.read_line(), "looked");
  EXPECT_EQ(wrapper.read_line(), "terminated");
  EXPECT_EQ(wrapper.read_line(),
            "outcome exit=3 signal=0 interrupted=0 leftovers= errors=1 timed out");
}

TEST_F(Timeout, KillsTheCommandThatIgnoresSigterm) {
  ForkedProcess wrapper([this] {
    return run("trap '' TERM; READY; while :; do read line; done", with(kAtOnce, kAtOnce));
  });
  EXPECT_EQ(wrapper.read_line(), "looked");
  EXPECT_EQ(wrapper.read_line(), "tree killed");
  EXPECT_EQ(wrapper.read_line(),
            "outcome exit=0 signal=9 interrupted=0 leftovers= errors=1 timed out");
}

TEST_F(Timeout, EndsAStoppedCommand) {
  ForkedProcess wrapper([this] {
    return run("sh -c 'kill -STOP $PPID; READY' & while :; do read line; done",
               with(kAtOnce, kForEver));
  });
  EXPECT_EQ(wrapper.read_line(), "looked");
  EXPECT_EQ(wrapper.read_line(),
            "outcome exit=0 signal=15 interrupted=0 leftovers= errors=1 timed out");
}

TEST_F(Timeout, ThatNobodyLooksAt) {
  ForkedProcess wrapper([this] {
    Supervision supervision = with(kAtOnce, kForEver);
    supervision.at_timeout = nullptr;
    return run("read line", supervision);
  });
  EXPECT_THAT(wrapper.read_all(), HasSubstr("signal=15 interrupted=0 leftovers= errors=0 timed"));
}

TEST_F(Timeout, IsCutShortByTheSecondInterrupt) {
  ForkedProcess wrapper([this] {
    return run("trap '' TERM; trap 'echo interrupted' INT; READY; while :; do read line; done",
               with(kAtOnce, kForEver));
  });
  ASSERT_EQ(wrapper.read_line(), "looked");
  ::kill(wrapper.pid(), SIGINT);
  ASSERT_EQ(wrapper.read_line(), "interrupted");
  ::kill(wrapper.pid(), SIGINT);
  EXPECT_EQ(wrapper.read_line(), "tree killed");
  EXPECT_THAT(wrapper.read_line(), HasSubstr("signal=9 interrupted=1"));
}

class TimeoutOfTree : public Timeout {
 protected:
  void SetUp() override {
    if (!cgroup_) {
      GTEST_SKIP() << cgroup_.reason;
    }
  }

  Supervision with(std::chrono::milliseconds timeout, std::chrono::milliseconds grace) const {
    Supervision supervision = Timeout::with(timeout, grace);
    supervision.cgroup = cgroup_.path();
    supervision.kill_tree = [this] {
      say("tree killed\n");
      cgroup_.kill();
    };
    return supervision;
  }

  bool is_populated() const { return *ProcessTree::watch(cgroup_.path())->is_populated(); }

  testing::ScratchCgroup cgroup_;
};

TEST_F(TimeoutOfTree, EveryProcessGetsSigterm) {
  ForkedProcess wrapper([this] {
    return run(
        "trap 'wait; exit 3' TERM; exec 3<&0\n"
        "sh -c 'trap \"echo child; exit\" TERM; READY; read line' <&3 & wait; wait",
        with(kAtOnce, kForEver), &cgroup_);
  });
  EXPECT_EQ(wrapper.read_line(), "looked");
  EXPECT_EQ(wrapper.read_line(), "child");
  EXPECT_EQ(wrapper.read_line(),
            "outcome exit=3 signal=0 interrupted=0 leftovers= errors=1 timed out");
  EXPECT_FALSE(is_populated());
}

TEST_F(TimeoutOfTree, WhatOutlivesSigtermIsKilledAndNoLeftover) {
  ForkedProcess wrapper([this] {
    return run("exec 3<&0; sh -c 'trap \"\" TERM; READY; while :; do read line; done' <&3 & wait",
               with(kAtOnce, kAtOnce), &cgroup_);
  });
  EXPECT_EQ(wrapper.read_line(), "looked");
  EXPECT_EQ(wrapper.read_line(), "tree killed");
  EXPECT_EQ(wrapper.read_line(),
            "outcome exit=0 signal=15 interrupted=0 leftovers= errors=1 timed out");
  EXPECT_FALSE(is_populated());
}

// The user loses patience while the tree has its grace time.
TEST_F(TimeoutOfTree, ATerminationEndsTheGraceTime) {
  ForkedProcess wrapper([this] {
    return run(
        "exec 3<&0; sh -c 'trap \"\" TERM; READY; while [ -d /proc/$PPID ]; do :; done; echo gone; "
        "while :; do read line; done' <&3 & wait",
        with(kAtOnce, kForEver), &cgroup_);
  });
  EXPECT_EQ(wrapper.read_line(), "looked");
  ASSERT_EQ(wrapper.read_line(), "gone");
  ::kill(wrapper.pid(), SIGTERM);
  EXPECT_EQ(wrapper.read_line(), "tree killed");
  EXPECT_THAT(wrapper.read_line(), HasSubstr("signal=15 interrupted=0 leftovers= errors=1 timed"));
}

// Says "gone" once the command has been reaped, and lives on.
constexpr const char* kLeaveAWitness =
    "exec 3<&0; { while [ -d /proc/$$ ]; do :; done; echo gone; exec cat >/dev/null; } <&3 & exit "
    "5";
constexpr std::chrono::milliseconds kLongEnough{1000};  // for a shell to end

TEST_F(TimeoutOfTree, IsOfTheCommandAndNotOfWhatOutlivesIt) {
  ForkedProcess wrapper([this] {
    Supervision supervision = with(kLongEnough, kForEver);
    supervision.linger = kLongEnough + kLongEnough / 2;
    return run(kLeaveAWitness, supervision, &cgroup_);
  });
  EXPECT_EQ(wrapper.read_line(), "gone");
  EXPECT_EQ(wrapper.read_line(), "outcome exit=5 signal=0 interrupted=0 leftovers=cat errors=0");
}

TEST_F(TimeoutOfTree, IsAlsoOfLeftoversThatAreWaitedFor) {
  ForkedProcess wrapper([this] {
    Supervision supervision = with(kLongEnough, kForEver);
    supervision.leftovers = LeftoverPolicy::wait;
    supervision.at_timeout = [](const std::vector<pid_t>& pids) {
      say("looked at " + std::to_string(pids.size()) + "\n");
      return std::vector<std::string>();
    };
    return run(kLeaveAWitness, supervision, &cgroup_);
  });
  EXPECT_EQ(wrapper.read_line(), "gone");
  EXPECT_EQ(wrapper.read_line(), "looked at 1");
  EXPECT_EQ(wrapper.read_line(),
            "outcome exit=5 signal=0 interrupted=0 leftovers= errors=0 timed out");
}

}  // namespace
}  // namespace crashcrawler
