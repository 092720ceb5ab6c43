#include "runner/launch/held_command.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>

#include "tests/unit/launch/process_support.h"

namespace crashcrawler {
namespace {

using testing::ForkedProcess;
using ::testing::HasSubstr;
using testing::ScratchFolder;

Command shell(const std::string& script) {
  return {{"sh", "-c", script}, "/"};
}

// What the command writes to stdout when it is run by a process that `prepare`d itself.
std::string output_of(
    const Command& command, const std::string& executable, bool keep_core,
    const std::function<void()>& prepare = [] {}) {
  ForkedProcess wrapper([&] {
    prepare();
    block_supervised_signals();
    Result<HeldCommand> held = HeldCommand::start(command, executable, keep_core);
    if (!held || !held->release()) {
      return 99;
    }
    int status = 0;
    ::waitpid(held->pid(), &status, 0);
    return status;
  });
  std::string output = wrapper.read_all();
  EXPECT_EQ(wrapper.wait(), 0);
  return output;
}

TEST(HeldCommand, RunsNothingBeforeRelease) {
  Result<HeldCommand> held = HeldCommand::start(shell("exit 3"), "/bin/sh", false);
  ASSERT_TRUE(held) << held.error().message;
  const std::string exe = "/proc/" + std::to_string(held->pid()) + "/exe";
  EXPECT_EQ(std::filesystem::read_symlink(exe), std::filesystem::read_symlink("/proc/self/exe"));

  ASSERT_TRUE(held->release());
  int status = 0;
  EXPECT_EQ(::waitpid(held->pid(), &status, 0), held->pid());
  EXPECT_EQ(WEXITSTATUS(status), 3);
}

TEST(HeldCommand, HasExecutedWhenReleaseReturns) {
  Result<HeldCommand> held = HeldCommand::start({{"sleep", "1000"}, "/"}, "/bin/sleep", false);
  ASSERT_TRUE(held);
  ASSERT_TRUE(held->release());
  const std::string exe = "/proc/" + std::to_string(held->pid()) + "/exe";
  EXPECT_EQ(std::filesystem::read_symlink(exe).filename(), "sleep");
  ::kill(held->pid(), SIGKILL);
  ::waitpid(held->pid(), nullptr, 0);
}

TEST(HeldCommand, DroppedBeforeReleaseLeavesNothing) {
  ScratchFolder folder;
  const std::string proof = folder.path() + "/ran";
  pid_t pid = -1;
  {
    Result<HeldCommand> held = HeldCommand::start(shell("> " + proof), "/bin/sh", false);
    ASSERT_TRUE(held);
    pid = held->pid();
  }
  EXPECT_EQ(::waitpid(pid, nullptr, 0), -1) << "it has been reaped";
  EXPECT_FALSE(std::filesystem::exists(proof));
}

TEST(HeldCommand, EndsItselfWith125WhenTheWrapperIsKilled) {
  ASSERT_EQ(::prctl(PR_SET_CHILD_SUBREAPER, 1), 0);  // to see how the orphan ends
  ForkedProcess wrapper([] {
    block_supervised_signals();
    Result<HeldCommand> held = HeldCommand::start(shell("exit 0"), "/bin/sh", false);
    const std::string line = std::to_string(held ? held->pid() : -1) + "\n";
    EXPECT_GT(::write(STDOUT_FILENO, line.data(), line.size()), 0);
    ::pause();
    return 0;
  });
  const pid_t command = std::stoi(wrapper.read_line());
  ::kill(wrapper.pid(), SIGKILL);
  wrapper.wait();
  int status = 0;
  EXPECT_EQ(::waitpid(command, &status, 0), command);
  EXPECT_EQ(WEXITSTATUS(status), 125);
  ::prctl(PR_SET_CHILD_SUBREAPER, 0);
}

TEST(HeldCommand, KeepsTheNameTheUserTyped) {
  EXPECT_EQ(
      output_of({{"typed name", "-c", "echo \"$0\"; tr '\\0' '|' </proc/$$/cmdline", "a", ""}, "/"},
                "/bin/sh", false),
      "a\ntyped name|-c|echo \"$0\"; tr '\\0' '|' </proc/$$/cmdline|a||");
}

TEST(HeldCommand, LeaksNoDescriptorOfOurs) {
  EXPECT_EQ(
      output_of(
          {{"sh", "-c", "cd /proc/$$/fd; for fd in *; do [ -L $fd ] && echo $fd; done; :"}, "/"},
          "/bin/sh", false,
          [] {
            for (int fd = 3; fd < 256; ++fd) {
              ::close(fd);
            }
          }),
      "0\n1\n2\n")
      << "the shell reads the folder through one more, which is closed again";
}

TEST(HeldCommand, HandsDownDescriptorsTheCallerPassesOn) {
  EXPECT_EQ(
      output_of(shell("echo through >&7"), "/bin/sh", false, [] { ::dup2(STDOUT_FILENO, 7); }),
      "through\n");
}

TEST(HeldCommand, HasTheSignalStateWeWereStartedWith) {
  const auto state_with = [](const std::function<void()>& prepare) {
    return output_of({{"grep", "-E", "Sig(Blk|Ign)", "/proc/self/status"}, "/"}, "/bin/grep", false,
                     prepare);
  };
  EXPECT_EQ(state_with([] {
              sigset_t none;
              sigemptyset(&none);
              ::sigprocmask(SIG_SETMASK, &none, nullptr);
              ::signal(SIGPIPE, SIG_DFL);
            }),
            "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
  EXPECT_EQ(state_with([] {
              sigset_t some;
              sigemptyset(&some);
              sigaddset(&some, SIGUSR2);
              ::sigprocmask(SIG_SETMASK, &some, nullptr);
              ::signal(SIGCHLD, SIG_IGN);
              ::signal(SIGHUP, SIG_IGN);
            }),
            "SigBlk:\t0000000000000800\nSigIgn:\t0000000000010001\n");
}

TEST(HeldCommand, SkipsPipedCoreDumpsUnlessToldOtherwise) {
  const Command limits{{"grep", "core file", "/proc/self/limits"}, "/"};
  const auto with_hard_limit = [](rlim_t hard) {
    return [hard] {
      const rlimit limit{0, hard};
      ::setrlimit(RLIMIT_CORE, &limit);
    };
  };
  EXPECT_THAT(output_of(limits, "/bin/grep", false, with_hard_limit(4096)),
              ::testing::ContainsRegex("size +1 +4096"));
  EXPECT_THAT(output_of(limits, "/bin/grep", true, with_hard_limit(4096)),
              ::testing::ContainsRegex("size +0 +4096"));
  EXPECT_THAT(output_of(limits, "/bin/grep", false, with_hard_limit(0)),
              ::testing::ContainsRegex("size +0 +0 "));
}

TEST(HeldCommand, RunsAScriptWithoutInterpreterLineWithSh) {
  ScratchFolder folder;
  const std::string script = folder.file("script", "echo \"$0 $1\"\n", 0755);
  EXPECT_EQ(output_of({{"script", "argument"}, "/"}, script, false), script + " argument\n");
}

TEST(HeldCommand, ReportsAFailedExecAndReapsTheChild) {
  ScratchFolder folder;
  const std::string no_interpreter = folder.file("script", "#!/nowhere/interpreter\n", 0755);
  const std::string vanished = folder.path() + "/vanished";
  const struct {
    std::string path;
    int exit_status;
    const char* text;
  } cases[] = {{no_interpreter, 127, "interpreter"},
               {vanished, 127, "No such file"},
               {folder.path(), 126, "denied"}};
  for (const auto& c : cases) {
    Result<HeldCommand> held = HeldCommand::start({{c.path}, "/"}, c.path, false);
    ASSERT_TRUE(held);
    const pid_t pid = held->pid();
    const Result<void> released = held->release();
    ASSERT_FALSE(released) << c.path;
    EXPECT_EQ(released.error().exit_status, c.exit_status) << released.error().message;
    EXPECT_THAT(released.error().message, HasSubstr(c.text));
    EXPECT_EQ(::waitpid(pid, nullptr, 0), -1);
  }
}

// A Ctrl-Z before the exec must not stop what release() waits for. The kernel discards SIGTSTP in an
// orphaned process group, so this one has a parent outside of it.
TEST(HeldCommand, IsNotStoppedByASignalFromBeforeItsExec) {
  ForkedProcess shell_with_jobs([] {
    const pid_t wrapper = ::fork();
    if (wrapper == 0) {
      ::setpgid(0, 0);
      block_supervised_signals();
      Result<HeldCommand> held = HeldCommand::start(shell("exit 3"), "/bin/sh", false);
      ::kill(held->pid(), SIGTSTP);
      ignore(held->release());
      int status = 0;
      ::waitpid(held->pid(), &status, WUNTRACED);
      ::_exit(WEXITSTATUS(status));
    }
    int status = 0;
    ::waitpid(wrapper, &status, 0);
    return WEXITSTATUS(status);
  });
  EXPECT_EQ(WEXITSTATUS(shell_with_jobs.wait()), 3);
}

TEST(HeldCommand, LeavesAKilledChildToItsSupervisor) {
  Result<HeldCommand> held = HeldCommand::start(shell("exit 0"), "/bin/sh", false);
  ASSERT_TRUE(held);
  ::kill(held->pid(), SIGKILL);
  siginfo_t info{};
  ::waitid(P_PID, static_cast<id_t>(held->pid()), &info, WEXITED | WNOWAIT);
  EXPECT_TRUE(held->release());
  int status = 0;
  EXPECT_EQ(::waitpid(held->pid(), &status, 0), held->pid());
  EXPECT_EQ(WTERMSIG(status), SIGKILL);
}

}  // namespace
}  // namespace crashcrawler
