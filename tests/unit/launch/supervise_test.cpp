#include "runner/launch/supervise.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>

#include "runner/launch/inherited_signals.h"
#include "tests/unit/launch/process_support.h"

namespace crashcrawler {
namespace {

using testing::ForkedProcess;
using ::testing::HasSubstr;
using testing::wrap;

TEST(Supervise, NeedsTheSignalsBlocked) {
  ForkedProcess wrapper([] {
    Result<HeldCommand> held = HeldCommand::start({{"true"}, "/"}, "/bin/true", false);
    return held && held->release() && !supervise(*held, {}) ? 0 : 1;
  });
  EXPECT_EQ(wrapper.wait(), 0);
}

TEST(Supervise, PassesTheExitStatus) {
  ForkedProcess wrapper([] { return wrap("exit 42", {}); });
  EXPECT_EQ(wrapper.read_all(), "outcome exit=42 signal=0 interrupted=0 leftovers= errors=0\n");
}

TEST(Supervise, PassesTheDeathBySignal) {
  ForkedProcess wrapper([] { return wrap("kill -SEGV $$", {}); });
  EXPECT_EQ(wrapper.read_all(), "outcome exit=0 signal=11 interrupted=0 leftovers= errors=0\n");
}

TEST(Supervise, KeepsTime) {
  ForkedProcess wrapper([] {
    block_supervised_signals();
    const auto before = std::chrono::system_clock::now();
    Result<HeldCommand> held = HeldCommand::start({{"true"}, "/"}, "/bin/true", false);
    if (!held || !held->release()) {
      return 1;
    }
    const auto outcome = supervise(*held, {});
    const auto after = std::chrono::system_clock::now();
    return outcome && before <= outcome->started && outcome->started <= after &&
                   outcome->duration.count() > 0 && outcome->duration < std::chrono::minutes(10)
               ? 0
               : 1;
  });
  EXPECT_EQ(wrapper.wait(), 0);
}

TEST(Supervise, ForwardsWhatIsSentToUs) {
  for (const char* name : {"INT", "TERM", "HUP", "QUIT", "USR1", "USR2", "ALRM"}) {
    ForkedProcess wrapper([name] {
      const std::string script = std::string("trap 'exit 7' ") + name + "; echo ready; read line";
      return wrap(script, {});
    });
    ASSERT_EQ(wrapper.read_line(), "ready");
    const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGALRM};
    for (const int number : numbers) {
      if (std::string(::sigabbrev_np(number)) == name) {
        ::kill(wrapper.pid(), number);
      }
    }
    EXPECT_THAT(wrapper.read_all(), HasSubstr("exit=7")) << name;
  }
}

// An alarm(2) survives exec: `perl -e 'alarm 60; exec @ARGV' crashcrawler-run ...` means the
// command.
TEST(Supervise, ForwardsOurAlarm) {
  ForkedProcess wrapper([] {
    ::alarm(1);
    return wrap("trap 'exit 7' ALRM; read line", {});
  });
  EXPECT_THAT(wrapper.read_all(), HasSubstr("exit=7"));
}

TEST(Supervise, DoesNotForwardWhatTheTreeSends) {
  // SIGUSR1 is dequeued before SIGTERM (lowest number first), so it would have been forwarded
  // before exit 0.
  ForkedProcess wrapper([] {
    return wrap("trap 'exit 9' USR1; trap 'exit 0' TERM; kill -USR1 $PPID; echo ready; read line",
                {});
  });
  ASSERT_EQ(wrapper.read_line(), "ready");
  ::kill(wrapper.pid(), SIGTERM);
  EXPECT_THAT(wrapper.read_all(), HasSubstr("exit=0 signal=0"));
}

TEST(Supervise, DoesNotForwardWhatADescendantSends) {
  testing::ScratchCgroup cgroup;
  if (!cgroup) {
    GTEST_SKIP() << cgroup.reason;
  }
  ForkedProcess wrapper([&cgroup] {
    Supervision supervision;
    supervision.cgroup = cgroup.path();
    return wrap(
        "trap 'exit 9' USR1; trap 'exit 0' TERM; wrapper=$PPID; exec 3<&0\n"
        "sh -c \"kill -USR1 $wrapper; echo ready; read line\" <&3 & wait",
        supervision, &cgroup);
  });
  ASSERT_EQ(wrapper.read_line(), "ready");
  ::kill(wrapper.pid(), SIGTERM);
  wrapper.close_input();
  EXPECT_THAT(wrapper.read_all(), HasSubstr("exit=0 signal=0"));
}

TEST(Supervise, ASecondInterruptKillsTheTree) {
  ForkedProcess wrapper([] {
    Supervision supervision;
    supervision.kill_tree = [] { EXPECT_EQ(::write(STDOUT_FILENO, "tree killed\n", 12), 12); };
    return wrap("trap 'echo interrupted' INT; echo ready; while :; do read line; done",
                supervision);
  });
  ASSERT_EQ(wrapper.read_line(), "ready");
  ::kill(wrapper.pid(), SIGINT);
  ASSERT_EQ(wrapper.read_line(), "interrupted");
  ::kill(wrapper.pid(), SIGINT);
  EXPECT_THAT(wrapper.read_all(), HasSubstr("tree killed\noutcome exit=0 signal=9 interrupted=1"));
}

TEST(Supervise, WhatWasIgnoredAtTheStartStaysIgnored) {
  ForkedProcess wrapper([] {
    ::signal(SIGINT, SIG_IGN);
    block_supervised_signals();
    const sigset_t& set = supervised_signals();
    return sigismember(&set, SIGINT) == 0 && sigismember(&set, SIGTERM) == 1 ? 0 : 1;
  });
  EXPECT_EQ(wrapper.wait(), 0);
}

TEST(Supervise, ABrokenPipeIsAnErrorAndNotOurEnd) {
  ForkedProcess wrapper([] {
    int ends[2];
    block_supervised_signals();
    if (::pipe(ends) != 0) {
      return 1;
    }
    ::close(ends[0]);
    return ::write(ends[1], "", 1) < 0 && errno == EPIPE ? 0 : 1;
  });
  EXPECT_EQ(wrapper.wait(), 0);
}

// Somebody who ignores SIGCHLD hands that down over exec, and exit statuses would get lost.
TEST(Supervise, SeesTheExitStatusDespiteIgnoredSigchld) {
  ForkedProcess wrapper([] {
    ::signal(SIGCHLD, SIG_IGN);
    return wrap("exit 42", {});
  });
  EXPECT_THAT(wrapper.read_all(), HasSubstr("exit=42"));
}

}  // namespace
}  // namespace crashcrawler
