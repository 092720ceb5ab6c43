// Starting a command that does not run yet.
//
// The problem: the collector filters by cgroup, so the command must sit in its cgroup, with the
// probe attached, before its first instruction. Starting it and being quick loses crashes at
// start-up; clone3(CLONE_INTO_CGROUP) needs rights on the cgroup that only the helper has;
// PTRACE_TRACEME would be seen by the tests and forbid them a debugger.
//
// The choice: a plain fork whose child waits on a socket between fork and exec. Three things make
// that safe:
//  * the child closes its copy of our end first, so our death, however sudden, is its end of file
//    and it leaves;
//  * both ends are close-on-exec: a successful exec is our end of file, a failed one sends its errno
//    before;
//  * between fork and exec the child calls only async-signal-safe functions (signal-safety(7));
//    everything that needs memory is prepared before.
//
// Boost.Process normally waits inside its constructor until the child has exec'd, which here would
// be a deadlock. With bp::ignore_error it does not (and opens no pipe of its own that could leak
// into the command); the errors it would have reported are exactly those we report ourselves.
#include "runner/launch/held_command.h"

#include <paths.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <vector>

#include "runner/base/unique_fd.h"
#include "runner/launch/boost_process.h"
#include "runner/launch/inherited_signals.h"

namespace crashcrawler {
namespace {

constexpr int kHarnessFailed = 125;
constexpr int kNotExecutable = 126;
constexpr int kNotFound = 127;

std::vector<char*> null_terminated(const std::vector<std::string>& arguments) {
  std::vector<char*> pointers;
  for (const std::string& argument : arguments) {
    pointers.push_back(const_cast<char*>(argument.c_str()));
  }
  pointers.push_back(nullptr);
  return pointers;
}

// Everything the child needs, made before the fork.
struct ChildPlan {
  int parent_end = -1;
  int child_end = -1;
  bool keep_core = false;
  std::vector<char*> arguments;
  std::vector<char*> shell_arguments;  // for a script without #!
  int fork_error = 0;
};

// Where only ancestors may trace (Documentation/admin-guide/LSM/Yama.rst), whatever descends from our parent may, until
// the release: this outlives an exec. And where we were root, this makes us traceable by who we are now
// (PR_SET_DUMPABLE, prctl(2)); an exec does the same.
void allow_tracing() {
  ::prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
  ::prctl(PR_SET_PTRACER, ::getppid(), 0, 0, 0);
}

void wait_for_release(const ChildPlan& plan) {
  ::close(plan.parent_end);
  allow_tracing();
  char go = 0;
  ::send(plan.child_end, &go, 1, MSG_NOSIGNAL);
  ssize_t got = 0;
  do {
    got = ::recv(plan.child_end, &go, 1, 0);
  } while (got < 0 && errno == EINTR);
  if (got != 1) {
    ::_exit(kHarnessFailed);
  }
  ::prctl(PR_SET_PTRACER, 0, 0, 0, 0);
}

}  // namespace

// The kernel compares with exactly 1 before it runs a piped core_pattern (do_coredump(),
// fs/coredump.c), and no core file is that small. A hard limit of 0 cannot be raised and makes no
// difference worth failing for.
void limit_core() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_CORE, &limit) == 0 && limit.rlim_max > 0) {
    limit.rlim_cur = 1;
    ::setrlimit(RLIMIT_CORE, &limit);
  }
}

// A Ctrl-Z that came while the child was held would stop it between here and exec, with release()
// waiting for that exec and the shell waiting for us. Ignoring a signal discards a pending one
// (POSIX 2.4.3).
void forget_pending_stop() {
  struct sigaction ignore {};
  struct sigaction inherited {};
  ignore.sa_handler = SIG_IGN;
  ::sigaction(SIGTSTP, &ignore, &inherited);
  ::sigaction(SIGTSTP, &inherited, nullptr);
}

namespace {

class HoldBeforeExec : public bp::extend::handler {
 public:
  explicit HoldBeforeExec(ChildPlan& plan) : plan_(&plan) {}

  template <typename Executor>
  void on_fork_error(Executor&, const std::error_code& error) const {
    plan_->fork_error = error.value();
  }

  template <typename Executor>
  void on_exec_setup(Executor& executor) const {
    wait_for_release(*plan_);
    if (!plan_->keep_core) {
      limit_core();
    }
    executor.cmd_line = plan_->arguments.data();  // Boost would make argv[0] the resolved path
    forget_pending_stop();
    restore_inherited_signals();
  }

  template <typename Executor>
  void on_exec_error(Executor& executor, const std::error_code& error) const {
    int reason = error.value();
    if (reason == ENOEXEC) {  // execvp(3) and every shell run such a file with sh
      ::execve(_PATH_BSHELL, plan_->shell_arguments.data(), executor.env);
      reason = errno;
    }
    ::send(plan_->child_end, &reason, sizeof reason, MSG_NOSIGNAL);
    ::_exit(kNotFound);
  }

 private:
  ChildPlan* plan_;
};

Error exec_error(const std::string& path, int reason) {
  std::string text = "cannot execute " + path + ": " + std::strerror(reason);
  if (reason == ENOENT && ::access(path.c_str(), F_OK) == 0) {
    text += "; the file exists, so its interpreter (#! line or ELF loader) does not";
  }
  return {text, reason == ENOENT ? kNotFound : kNotExecutable};
}

// Until the child has said so, or is gone, which release() tells.
void wait_until_held(int child) {
  char held = 0;
  while (::recv(child, &held, 1, 0) < 0 && errno == EINTR) {
  }
}

void reap(pid_t pid) {
  while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
  }
}

}  // namespace

struct HeldCommand::State {
  pid_t pid = -1;
  std::string executable;
  UniqueFd child;  // our end; valid until released
  std::chrono::system_clock::time_point started;
  std::chrono::steady_clock::time_point started_steady;
};

HeldCommand::HeldCommand(std::unique_ptr<State> state) : state_(std::move(state)) {}
HeldCommand::HeldCommand(HeldCommand&&) noexcept = default;

HeldCommand& HeldCommand::operator=(HeldCommand&& other) noexcept {
  std::swap(state_, other.state_);
  return *this;
}

HeldCommand::~HeldCommand() {
  if (state_ && state_->child) {
    state_->child.reset();
    reap(state_->pid);
  }
}

Result<HeldCommand> HeldCommand::start(const Command& command, const std::string& executable,
                                       bool keep_core) {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
    return errno_error("cannot make the socket that holds the command");
  }
  UniqueFd ours(ends[0]);
  UniqueFd childs(ends[1]);

  std::vector<std::string> by_shell = command.arguments;
  by_shell.front() = executable;
  by_shell.insert(by_shell.begin(), _PATH_BSHELL);
  ChildPlan plan{ours.get(), childs.get(), keep_core, null_terminated(command.arguments),
                 null_terminated(by_shell)};

  bp::child child(bp::exe = executable, HoldBeforeExec(plan), bp::ignore_error);
  child.detach();  // else its destructor kills the command
  if (!child.valid()) {
    errno = plan.fork_error;
    return errno_error("cannot start a process for the command");
  }
  auto state = std::make_unique<State>();
  state->pid = child.id();
  state->executable = executable;
  state->child = std::move(ours);
  childs.reset();  // else nobody would see that the child has gone
  wait_until_held(state->child.get());
  return HeldCommand(std::move(state));
}

pid_t HeldCommand::pid() const {
  return state_->pid;
}
std::chrono::system_clock::time_point HeldCommand::started() const {
  return state_->started;
}
std::chrono::steady_clock::time_point HeldCommand::started_steady() const {
  return state_->started_steady;
}

Result<void> HeldCommand::release() {
  const UniqueFd child = std::move(state_->child);
  state_->started = std::chrono::system_clock::now();
  state_->started_steady = std::chrono::steady_clock::now();
  // A child that was killed while it was held is no error here: what ended it is for supervise() to
  // tell.
  const char go = 1;
  if (::send(child.get(), &go, 1, MSG_NOSIGNAL) != 1) {
    return {};
  }
  int reason = 0;
  ssize_t got = 0;
  do {
    got = ::recv(child.get(), &reason, sizeof reason, MSG_WAITALL);
  } while (got < 0 && errno == EINTR);
  if (got != sizeof reason) {
    return {};  // end of file: exec has closed the other end
  }
  reap(state_->pid);
  return exec_error(state_->executable, reason);
}

}  // namespace crashcrawler
