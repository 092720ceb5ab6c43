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

using ::testing::ElementsAre;
using testing::ForkedProcess;
using ::testing::HasSubstr;
using testing::wrap;

constexpr std::chrono::milliseconds kForEver = std::chrono::hours(24);

// Leaves a `cat` behind that lives until the test closes its input.
constexpr const char* kLeaveCatBehind =
    "exec 3<&0; cat <&3 >/dev/null & until grep -q '^cat$' /proc/$!/comm; do :; done; echo ready; "
    "exit 5";

class Leftovers : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!cgroup_) {
      GTEST_SKIP() << cgroup_.reason;
    }
  }

  Supervision with(LeftoverPolicy policy, std::chrono::milliseconds linger) const {
    Supervision supervision;
    supervision.cgroup = cgroup_.path();
    supervision.linger = linger;
    supervision.leftovers = policy;
    supervision.kill_tree = [this] { cgroup_.kill(); };
    return supervision;
  }

  bool is_populated() const { return *ProcessTree::watch(cgroup_.path())->is_populated(); }

  testing::ScratchCgroup cgroup_;
};

TEST_F(Leftovers, AreNamedAndLeftAlone) {
  ForkedProcess wrapper([this] {
    return wrap(kLeaveCatBehind, with(LeftoverPolicy::leave, std::chrono::milliseconds(0)),
                &cgroup_);
  });
  EXPECT_EQ(wrapper.read_line(), "ready");
  EXPECT_EQ(wrapper.read_line(), "outcome exit=5 signal=0 interrupted=0 leftovers=cat errors=0");
  wrapper.wait();
  EXPECT_TRUE(is_populated());
}

TEST_F(Leftovers, EndTheLingeringWhenTheyEnd) {
  ForkedProcess wrapper(
      [this] { return wrap(kLeaveCatBehind, with(LeftoverPolicy::leave, kForEver), &cgroup_); });
  EXPECT_EQ(wrapper.read_line(), "ready");
  wrapper.close_input();
  EXPECT_EQ(wrapper.read_line(), "outcome exit=5 signal=0 interrupted=0 leftovers= errors=0");
}

TEST_F(Leftovers, AreWaitedForBeyondTheLingerTime) {
  ForkedProcess wrapper([this] {
    return wrap(kLeaveCatBehind, with(LeftoverPolicy::wait, std::chrono::milliseconds(0)),
                &cgroup_);
  });
  EXPECT_EQ(wrapper.read_line(), "ready");
  wrapper.close_input();
  EXPECT_EQ(wrapper.read_line(), "outcome exit=5 signal=0 interrupted=0 leftovers= errors=0");
}

TEST_F(Leftovers, AreKilledAndNamed) {
  ForkedProcess wrapper([this] {
    return wrap(kLeaveCatBehind, with(LeftoverPolicy::kill, std::chrono::milliseconds(0)),
                &cgroup_);
  });
  EXPECT_EQ(wrapper.read_line(), "ready");
  EXPECT_EQ(wrapper.read_line(), "outcome exit=5 signal=0 interrupted=0 leftovers=cat errors=0");
  EXPECT_FALSE(is_populated());
}

// Says "gone" once the command has been reaped, and lives on.
constexpr const char* kLeaveAWitness =
    "exec 3<&0; { while [ -d /proc/$$ ]; do :; done; echo gone; exec cat >/dev/null; } <&3 & exit "
    "5";

TEST_F(Leftovers, AreNotWaitedForAfterATermination) {
  for (const int signal : {SIGTERM, SIGHUP, SIGINT}) {
    ForkedProcess wrapper(
        [this] { return wrap(kLeaveAWitness, with(LeftoverPolicy::wait, kForEver), &cgroup_); });
    ASSERT_EQ(wrapper.read_line(), "gone");
    ::kill(wrapper.pid(), signal);
    EXPECT_THAT(wrapper.read_line(), HasSubstr("exit=5 signal=0 interrupted=0 leftovers="));
    EXPECT_TRUE(is_populated());
    cgroup_.kill();
  }
}

TEST_F(Leftovers, AreKilledByTheSecondInterrupt) {
  // The first one ends the command; background processes of a shell ignore it.
  ForkedProcess wrapper([this] {
    return wrap(
        "exec 3<&0; { while [ -d /proc/$$ ]; do :; done; echo gone; exec cat >/dev/null; } "
        "<&3 & echo ready; read line",
        with(LeftoverPolicy::wait, kForEver), &cgroup_);
  });
  ASSERT_EQ(wrapper.read_line(), "ready");
  ::kill(wrapper.pid(), SIGINT);
  ASSERT_EQ(wrapper.read_line(), "gone");
  ::kill(wrapper.pid(), SIGINT);
  EXPECT_EQ(wrapper.read_line(), "outcome exit=0 signal=2 interrupted=1 leftovers= errors=0");
  EXPECT_FALSE(is_populated());
}

TEST_F(Leftovers, AreFoundInCgroupsOfTheirOwn) {
  const std::string below = cgroup_.path() + "/below";
  ASSERT_EQ(::mkdir(below.c_str(), 0755), 0);
  ForkedProcess leftover([] {
    ::pause();
    return 0;
  });
  cgroup_.add(leftover.pid());
  const auto tree = ProcessTree::watch(cgroup_.path());
  ASSERT_TRUE(tree);
  EXPECT_THAT(tree->pids(), ElementsAre(leftover.pid()));

  ForkedProcess mover([&] {
    const std::string move =
        "echo " + std::to_string(leftover.pid()) + " > " + below + "/cgroup.procs";
    return ::execl("/bin/sh", "sh", "-c", move.c_str(), nullptr);
  });
  ASSERT_EQ(mover.wait(), 0);
  EXPECT_THAT(tree->pids(), ElementsAre(leftover.pid()));
}

TEST_F(Leftovers, CarryTheirCommandLine) {
  ForkedProcess leftover([] { return ::execl("/bin/cat", "cat", "-", "", "two words", nullptr); });
  // exec is done when /proc names the program
  ForkedProcess waiter([&] {
    const std::string wait =
        "until grep -q '^cat$' /proc/" + std::to_string(leftover.pid()) + "/comm; do :; done";
    return ::execl("/bin/sh", "sh", "-c", wait.c_str(), nullptr);
  });
  ASSERT_EQ(waiter.wait(), 0);
  cgroup_.add(leftover.pid());
  const auto processes = ProcessTree::watch(cgroup_.path())->processes();
  ASSERT_EQ(processes.size(), 1u);
  EXPECT_EQ(processes[0].pid, leftover.pid());
  EXPECT_EQ(processes[0].name, "cat");
  EXPECT_THAT(processes[0].arguments, ElementsAre("cat", "-", "", "two words"));
}

TEST_F(Leftovers, AreUnknownWhenTheCgroupHasGone) {
  ForkedProcess wrapper([this] {
    return wrap("echo ready; read line; exit 5", with(LeftoverPolicy::leave, kForEver));
  });
  EXPECT_EQ(wrapper.read_line(), "ready");
  ASSERT_EQ(::rmdir(cgroup_.path().c_str()), 0);
  wrapper.close_input();
  EXPECT_EQ(wrapper.read_line(), "outcome exit=5 signal=0 interrupted=0 leftovers= errors=1");
}

TEST(LeftoversWithoutCgroup, AreASoftError) {
  ForkedProcess wrapper([] {
    Supervision supervision;
    supervision.cgroup = "/nowhere";
    return wrap("exit 5", supervision);
  });
  EXPECT_EQ(wrapper.read_line(), "outcome exit=5 signal=0 interrupted=0 leftovers= errors=1");
}

}  // namespace
}  // namespace crashcrawler
