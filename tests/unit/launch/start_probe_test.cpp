#include "runner/launch/start_probe.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "runner/launch/supervise.h"
#include "tests/unit/launch/process_support.h"

namespace crashcrawler {
namespace {

using testing::ForkedProcess;
using ::testing::HasSubstr;
using testing::ScratchFolder;

constexpr uid_t kSomebody = 54321;

// Prints what `body` returns, from a process without root.
std::string as_somebody(const std::function<std::string()>& body) {
  ForkedProcess somebody([&] {
    if (::geteuid() == 0 && ::setuid(kSomebody) != 0) {
      return 99;
    }
    const std::string text = body();
    return ::write(STDOUT_FILENO, text.data(), text.size()) == static_cast<ssize_t>(text.size())
               ? 0
               : 99;
  });
  std::string text = somebody.read_all();
  EXPECT_EQ(somebody.wait(), 0);
  return text;
}

std::string started_and_waited(const std::string& path) {
  Result<ProbeProcess> probe = start_probe(path);
  if (!probe) {
    return "error: " + probe.error().message;
  }
  const std::string text = wait_for_probe(*probe);
  return (probe->through_sudo ? "sudo: " : "direct: ") + text;
}

class StartProbeAsRoot : public ::testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) {
      GTEST_SKIP() << "needs root, or the probe is started through sudo";
    }
  }
  ScratchFolder folder_;
};

TEST_F(StartProbeAsRoot, TalksOverItsStandardInput) {
  const std::string path =
      folder_.file("probe", "#!/bin/sh\nread line; echo \"answer to $line\" >&0\n", 0755);
  Result<ProbeProcess> probe = start_probe(path);
  ASSERT_TRUE(probe) << probe.error().message;
  EXPECT_FALSE(probe->through_sudo);
  ASSERT_EQ(::send(probe->socket.get(), "question\n", 9, 0), 9);
  EXPECT_EQ(testing::read_all(probe->socket.get()), "answer to question\n");
  EXPECT_EQ(wait_for_probe(*probe), "");
}

TEST_F(StartProbeAsRoot, ItsOutputIsForUsToRead) {
  const std::string path = folder_.file("probe", "#!/bin/sh\necho one; echo two >&2\n", 0755);
  EXPECT_EQ(started_and_waited(path), "direct: one\ntwo");
}

TEST_F(StartProbeAsRoot, AFloodOfMessagesIsCutAndDoesNotBlock) {
  const std::string path = folder_.file("probe", "#!/bin/sh\nyes | head -c 1000000 >&2\n", 0755);
  EXPECT_EQ(started_and_waited(path).size(), std::string("direct: ").size() + (64 << 10) - 1);
}

TEST_F(StartProbeAsRoot, EndsWhenWeLetGoOfTheSocket) {
  const std::string path = folder_.file("probe", "#!/bin/sh\ncat; echo ended >&2\n", 0755);
  EXPECT_EQ(started_and_waited(path), "direct: ended");
}

TEST_F(StartProbeAsRoot, HasAProcessGroupOfItsOwnAndAllSignals) {
  const std::string path =
      folder_.file("probe",
                   "#!/bin/sh\ngrep SigBlk /proc/self/status\n[ $(cut -d' ' -f5 "
                   "/proc/$$/stat) = $$ ] && echo own\n",
                   0755);
  ForkedProcess wrapper([&] {
    sigset_t none;
    sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    block_supervised_signals();
    return started_and_waited(path) == "direct: SigBlk:\t0000000000000000\nown" ? 0 : 1;
  });
  EXPECT_EQ(wrapper.wait(), 0);
}

TEST_F(StartProbeAsRoot, WorksWithClosedStandardStreams) {
  const std::string path =
      folder_.file("probe", "#!/bin/sh\nread line; echo \"answer to $line\" >&0\n", 0755);
  ForkedProcess wrapper([&] {
    for (int fd = 0; fd < 3; ++fd) {
      ::close(fd);
    }
    Result<ProbeProcess> probe = start_probe(path);
    return probe && ::send(probe->socket.get(), "question\n", 9, 0) == 9 &&
                   testing::read_all(probe->socket.get()) == "answer to question\n"
               ? 0
               : 1;
  });
  EXPECT_EQ(wrapper.wait(), 0);
}

TEST_F(StartProbeAsRoot, AFailedExecIsAnErrorAndLeavesNoZombie) {
  const std::string path = folder_.file("probe", "#!/nowhere/interpreter\n", 0755);
  ForkedProcess wrapper([&] {
    const Result<ProbeProcess> probe = start_probe(path);
    const bool named = !probe && probe.error().message.find(path) != std::string::npos;
    return named && ::waitpid(-1, nullptr, 0) < 0 ? 0 : 1;
  });
  EXPECT_EQ(wrapper.wait(), 0);
}

// What a container started with --cap-add and ambient capabilities gives its user.
TEST_F(StartProbeAsRoot, ItIsStartedDirectlyWithAmbientCapabilities) {
  const std::string path =
      folder_.file("probe", "#!/bin/sh\ngrep CapEff /proc/self/status\n", 0755);
  ForkedProcess somebody([&] {
    constexpr int kMissing = 77;
    constexpr uint64_t kBpf = uint64_t{1} << CAP_BPF, kPerfmon = uint64_t{1} << CAP_PERFMON;
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct sets[2] = {};
    for (const uint64_t set : {kBpf, kPerfmon}) {
      sets[1].permitted |= static_cast<uint32_t>(set >> 32);
    }
    sets[1].effective = sets[1].inheritable = sets[1].permitted;
    if (::prctl(PR_SET_KEEPCAPS, 1) != 0 || ::setuid(kSomebody) != 0 ||
        ::syscall(SYS_capset, &header, sets) != 0 ||
        ::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_BPF, 0, 0) != 0 ||
        ::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_PERFMON, 0, 0) != 0) {
      return kMissing;
    }
    return started_and_waited(path) == "direct: CapEff:\t000000c000000000" ? 0 : 1;
  });
  const int status = somebody.wait();
  if (WEXITSTATUS(status) == 77) {
    GTEST_SKIP() << "root here has no CAP_BPF and CAP_PERFMON to hand on";
  }
  EXPECT_EQ(status, 0);
}

TEST(StartProbe, GoesThroughSudoWithoutAPassword) {
  ScratchFolder folder;
  const std::string probe = folder.file("probe", "#!/bin/sh\necho the probe ran >&2\n", 0755);
  folder.file("sudo", "#!/bin/sh\necho \"$1 $2\"; exec \"$3\"\n", 0755);
  EXPECT_EQ(as_somebody([&] {
              ::setenv("PATH", (folder.path() + ":/bin:/usr/bin").c_str(), 1);
              return started_and_waited(probe);
            }),
            "sudo: -n --\nthe probe ran");
}

TEST(StartProbe, SaysWhatToDoWhenSudoRefuses) {
  ScratchFolder folder;
  folder.file("sudo", "#!/bin/sh\necho 'sudo: a password is required' >&2; exit 1\n", 0755);
  const std::string text = as_somebody([&] {
    ::setenv("PATH", (folder.path() + ":/bin:/usr/bin").c_str(), 1);
    return started_and_waited("/path/of/probe");
  });
  EXPECT_THAT(text, HasSubstr("a password is required"));
  EXPECT_THAT(text, HasSubstr("sudo -v"));
  EXPECT_THAT(text, HasSubstr("NOPASSWD: /path/of/probe"));
  EXPECT_THAT(text, HasSubstr("--best-effort"));
}

TEST(StartProbe, SaysWhatToDoWithoutSudo) {
  ScratchFolder folder;
  const std::string text = as_somebody([&] {
    ::setenv("PATH", folder.path().c_str(), 1);
    return started_and_waited("/path/of/probe");
  });
  EXPECT_THAT(text, HasSubstr("error: no privileges to capture with, and no sudo in PATH"));
  EXPECT_THAT(text, HasSubstr("CAP_BPF and CAP_PERFMON"));
}

// This test program has no probe beside it: it lies in a folder of its own.
TEST(FindProbe, NamesBothPlaces) {
  const auto self = std::filesystem::read_symlink("/proc/self/exe");
  const Result<std::string> found = find_probe();
  ASSERT_FALSE(found);
  EXPECT_THAT(found.error().message,
              HasSubstr((self.parent_path() / "crashcrawler-probe").string()));
  EXPECT_THAT(found.error().message, HasSubstr("libexec/crashcrawler/crashcrawler-probe"));
}

}  // namespace
}  // namespace crashcrawler
