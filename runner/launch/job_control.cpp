// Who stops when, and why not simply by default.
//
// Ctrl-Z sends SIGTSTP to the whole foreground process group: to the command and to us. If we took
// the default action, a command that ignores SIGTSTP, or takes a moment to put the terminal in
// order first, would be in the background of a shell that believes it stopped. So we hold the
// job-control signals back (inherited_signals.cpp) and stop only once the command has stopped:
// waitid(WSTOPPED) says so and names the signal.
//
// We stop by the same signal. For SIGTSTP, SIGTTIN and SIGTTOU the kernel then makes sure that
// somebody is there to continue us: it does not stop a member of an orphaned process group (POSIX,
// "orphaned process group").
//
// Without a controlling terminal nothing of this applies: the one who sent SIGSTOP to the command
// will send SIGCONT to the command, knows nothing of us, and a CI run would stand still for ever.
#include "runner/launch/job_control.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runner/base/unique_fd.h"

namespace crashcrawler {
namespace {

bool has_controlling_terminal() {
  return static_cast<bool>(UniqueFd(::open("/dev/tty", O_RDONLY | O_NOCTTY | O_CLOEXEC)));
}

// Whether anything has happened to it since the stop that waitid(2) has reported.
bool is_still_stopped(pid_t pid) {
  siginfo_t info{};
  const int news = WCONTINUED | WSTOPPED | WEXITED;
  return ::waitid(P_PID, static_cast<id_t>(pid), &info, news | WNOHANG | WNOWAIT) == 0 &&
         info.si_pid == 0;
}

}  // namespace

void stop_like_the_command(pid_t pid, int signal) {
  if (!has_controlling_terminal()) {
    return;
  }
  // While it is blocked, ours and the one of the terminal are one; SIGCONT discards what is still
  // pending.
  ::kill(::getpid(), signal);
  sigset_t only;
  sigemptyset(&only);
  sigaddset(&only, signal);
  sigset_t before;
  // Returns when we have been continued. Until the next line another Ctrl-Z stops us at once, not after the command.
  ::pthread_sigmask(SIG_UNBLOCK, &only, &before);
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  // `fg` continues the whole process group; `kill -CONT` with our number only us.
  if (is_still_stopped(pid)) {
    ::kill(pid, SIGCONT);
  }
}

}  // namespace crashcrawler
