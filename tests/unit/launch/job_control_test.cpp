// Ctrl-C, Ctrl-Z and `fg`, on a real terminal: a pseudo-terminal whose session leader plays the
// job-control shell.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pty.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "runner/launch/supervise.h"
#include "tests/unit/launch/process_support.h"

namespace crashcrawler {
namespace {

using testing::ForkedProcess;
using ::testing::HasSubstr;
using testing::wrap;

constexpr char kCtrlC = 3;
constexpr char kCtrlZ = 26;

// Runs `script` under the wrapper as the foreground job of a shell. What the shell sees of the job
// is written to the test: "stopped TSTP", "exited"; after a stop, `resume` does what the user does.
class Terminal {
 public:
  Terminal(const std::string& script, const std::function<void(pid_t wrapper)>& resume) {
    int report[2];
    EXPECT_EQ(::pipe2(report, O_CLOEXEC), 0);
    report_.reset(report[0]);
    int master = -1;
    shell_ = ::forkpty(&master, nullptr, nullptr, nullptr);
    if (shell_ == 0) {
      be_the_shell(script, resume, report[1]);
    }
    ::close(report[1]);
    master_.reset(master);
    termios settings{};
    ::tcgetattr(master, &settings);
    settings.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    ::tcsetattr(master, TCSANOW, &settings);
  }

  ~Terminal() {
    master_.reset();
    ::kill(shell_, SIGKILL);
    ::waitpid(shell_, nullptr, 0);
  }

  void type(char key) const { EXPECT_EQ(::write(master_.get(), &key, 1), 1); }
  void type(const std::string& line) const {
    EXPECT_EQ(::write(master_.get(), line.data(), line.size()), static_cast<ssize_t>(line.size()));
  }
  std::string read_line() const { return testing::read_line(master_.get()); }
  std::string read_report() const { return testing::read_line(report_.get()); }

 private:
  [[noreturn]] static void be_the_shell(const std::string& script,
                                        const std::function<void(pid_t)>& resume, int report) {
    ::signal(SIGTTOU, SIG_IGN);  // as shells do, to hand the terminal over
    const pid_t wrapper = ::fork();
    if (wrapper == 0) {
      ::setpgid(0, 0);
      ::tcsetpgrp(STDIN_FILENO, ::getpid());
      ::signal(SIGTTOU, SIG_DFL);
      const int status = wrap(script, {});
      std::fflush(stdout);
      ::_exit(status);
    }
    for (;;) {
      int status = 0;
      if (::waitpid(wrapper, &status, WUNTRACED) < 0) {
        ::_exit(1);
      }
      if (!WIFSTOPPED(status)) {
        ::dprintf(report, "exited\n");
        ::pause();  // keeps the terminal's session until the test has read everything
      }
      resume(wrapper);
      ::dprintf(report, "stopped %s\n", ::sigabbrev_np(WSTOPSIG(status)));
    }
  }

  pid_t shell_ = -1;
  UniqueFd master_, report_;
};

void foreground(pid_t wrapper) {
  ::tcsetpgrp(STDIN_FILENO, wrapper);
  ::kill(-wrapper, SIGCONT);
}

// Two signals that are pending at the same time are one. So that each counts, the command goes on
// only when we, its parent, have taken ours.
constexpr const char* kWhenTheWrapperHasTakenIt =
    "taken() { until grep -q 'ShdPnd:.*0$' /proc/$PPID/status; do :; done; }\n";

TEST(JobControl, CtrlCReachesTheCommandOnce) {
  // We are stopped until the command has had its own.
  Terminal terminal(std::string(kWhenTheWrapperHasTakenIt) +
                        "n=0; trap 'n=$((n+1)); kill -CONT $PPID; taken; echo interrupted' INT\n"
                        "trap 'exit $n' USR1; kill -STOP $PPID; echo ready\n"
                        "while :; do read line && kill -USR1 $$; done",
                    [](pid_t) {});
  ASSERT_EQ(terminal.read_line(), "ready");
  ASSERT_EQ(terminal.read_report(), "stopped STOP");
  terminal.type(kCtrlC);
  ASSERT_EQ(terminal.read_line(), "interrupted");
  terminal.type("done\n");
  EXPECT_THAT(terminal.read_line(), HasSubstr("exit=1 signal=0 interrupted=0"));
}

TEST(JobControl, ASecondCtrlCKills) {
  Terminal terminal(
      std::string(kWhenTheWrapperHasTakenIt) +
          "trap 'taken; echo interrupted' INT; echo ready; while :; do read line; done",
      foreground);
  ASSERT_EQ(terminal.read_line(), "ready");
  terminal.type(kCtrlC);
  ASSERT_EQ(terminal.read_line(), "interrupted");
  terminal.type(kCtrlC);
  std::string line = terminal.read_line();
  if (line == "interrupted") {  // the command may have got that far
    line = terminal.read_line();
  }
  EXPECT_THAT(line, HasSubstr("signal=9 interrupted=1"));
}

TEST(JobControl, ACommandThatStopsItselfStopsUs) {
  Terminal terminal("echo ready; kill -STOP $$; echo continued; exit 5", foreground);
  ASSERT_EQ(terminal.read_line(), "ready");
  ASSERT_EQ(terminal.read_report(), "stopped STOP");
  EXPECT_EQ(terminal.read_line(), "continued");
  EXPECT_EQ(terminal.read_report(), "exited");
}

TEST(JobControl, CtrlZStopsUsWithTheCommandAndFgContinuesBoth) {
  Terminal terminal("echo ready; read line; echo \"got $line\"; exit 5", foreground);
  ASSERT_EQ(terminal.read_line(), "ready");
  for (int i = 0; i < 3; ++i) {
    terminal.type(kCtrlZ);
    ASSERT_EQ(terminal.read_report(), "stopped TSTP");
  }
  terminal.type("it\n");
  EXPECT_EQ(terminal.read_line(), "got it");
  EXPECT_THAT(terminal.read_line(), HasSubstr("exit=5"));
  EXPECT_EQ(terminal.read_report(), "exited");
}

TEST(JobControl, ContinuingUsAloneContinuesTheCommand) {
  Terminal terminal("echo ready; read line; echo \"got $line\"; exit 5", [](pid_t wrapper) {
    ::tcsetpgrp(STDIN_FILENO, wrapper);
    ::kill(wrapper, SIGCONT);
  });
  ASSERT_EQ(terminal.read_line(), "ready");
  terminal.type(kCtrlZ);
  ASSERT_EQ(terminal.read_report(), "stopped TSTP");
  terminal.type("it\n");
  EXPECT_EQ(terminal.read_line(), "got it");
  EXPECT_EQ(terminal.read_report(), "exited");
}

TEST(JobControl, ACommandThatIgnoresCtrlZKeepsUsRunning) {
  Terminal terminal("trap '' TSTP; echo ready; read line; echo \"got $line\"; exit 5", foreground);
  ASSERT_EQ(terminal.read_line(), "ready");
  terminal.type(kCtrlZ);
  terminal.type("it\n");
  EXPECT_EQ(terminal.read_line(), "got it");
  EXPECT_EQ(terminal.read_report(), "exited") << "and never stopped before";
}

TEST(JobControl, ReadingInTheBackgroundStopsUsByTheSameSignal) {
  // The shell takes the terminal before it continues the job, as for `bg`; at the second stop it is
  // `fg`.
  Terminal terminal("echo ready; read first; read line; echo \"got $line\"; exit 5",
                    [first = true](pid_t wrapper) mutable {
                      if (first) {
                        ::tcsetpgrp(STDIN_FILENO, ::getpid());
                        ::kill(-wrapper, SIGCONT);
                        first = false;
                      } else {
                        foreground(wrapper);
                      }
                    });
  ASSERT_EQ(terminal.read_line(), "ready");
  terminal.type(kCtrlZ);
  ASSERT_EQ(terminal.read_report(), "stopped TSTP");
  ASSERT_EQ(terminal.read_report(), "stopped TTIN");
  terminal.type("one\ntwo\n");
  EXPECT_EQ(terminal.read_line(), "got two");
  EXPECT_EQ(terminal.read_report(), "exited");
}

// A hangup is for the session leader. Without us that would have been the command.
TEST(JobControl, AHangupReachesTheCommandWhenWeLeadTheSession) {
  int report[2];
  int held_open[2];
  ASSERT_EQ(::pipe2(report, O_CLOEXEC), 0);
  ASSERT_EQ(::pipe2(held_open, O_CLOEXEC), 0);
  int master = -1;
  const pid_t wrapper = ::forkpty(&master, nullptr, nullptr, nullptr);
  if (wrapper == 0) {
    ::dup2(held_open[0], 8);
    ::dup2(report[1], 9);
    ::close(held_open[1]);
    ::close(report[1]);
    ::_exit(wrap("trap 'echo hangup >&9; exit 0' HUP; cat <&8 & echo ready >&9; wait", {}));
  }
  ::close(report[1]);
  const UniqueFd reports(report[0]), input(held_open[0]);
  UniqueFd input_end(held_open[1]);
  ASSERT_EQ(testing::read_line(report[0]), "ready");
  ::close(master);
  EXPECT_EQ(testing::read_line(report[0]), "hangup");
  EXPECT_EQ(::waitpid(wrapper, nullptr, 0), wrapper);
}

// Who stops a command where there is no terminal continues that command, and knows nothing of us.
TEST(JobControl, WithoutATerminalWeKeepRunning) {
  ForkedProcess wrapper([] {
    return wrap(
        "{ until grep -q '^State:.T' /proc/$$/status; do :; done; kill -CONT $$; } & kill -STOP "
        "$$; exit 5",
        {});
  });
  EXPECT_THAT(wrapper.read_all(), HasSubstr("exit=5"));
}

}  // namespace
}  // namespace crashcrawler
