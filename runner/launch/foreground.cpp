#include "runner/launch/foreground.h"

#include <sys/resource.h>
#include <sys/wait.h>

#include <algorithm>
#include <csignal>
#include <system_error>

#include "runner/base/address_randomization.h"
#include "runner/base/resource_limits.h"
#include "runner/launch/boost_process.h"
#include "runner/launch/held_command.h"

namespace crashcrawler {
namespace {

constexpr int kNotExecutable = 126;

void set_soft_limit(const ResourceLimit& limit) {
  const auto kind = std::ranges::find(kLimitKinds, limit.name, &LimitKind::name);
  rlimit now{};
  if (kind != kLimitKinds.end() && ::getrlimit(kind->resource, &now) == 0) {
    now.rlim_cur = std::min<rlim_t>(limit.soft.value_or(RLIM_INFINITY), now.rlim_max);
    ::setrlimit(kind->resource, &now);
  }
}

class Before : public bp::extend::handler {
 public:
  Before(const Inherited& inherited, const sigset_t& mask) : inherited_(inherited), mask_(mask) {}

  template <typename Executor>
  void on_exec_setup(Executor&) const {
    std::ranges::for_each(inherited_.limits, set_soft_limit);
    if (!inherited_.randomizes_addresses) {
      fix_addresses();
    }
    ::sigprocmask(SIG_SETMASK, &mask_, nullptr);
  }

 private:
  const Inherited& inherited_;
  const sigset_t& mask_;
};

// Blocked while this lives, so that sigwaitinfo(2) has them.
class BlockedSignals {
 public:
  BlockedSignals() {
    sigemptyset(&taken_);
    for (const int signal : {SIGCHLD, SIGINT, SIGQUIT, SIGTERM, SIGHUP}) {
      sigaddset(&taken_, signal);
    }
    ::sigprocmask(SIG_BLOCK, &taken_, &before_);
  }
  ~BlockedSignals() { ::sigprocmask(SIG_SETMASK, &before_, nullptr); }
  BlockedSignals(const BlockedSignals&) = delete;
  BlockedSignals& operator=(const BlockedSignals&) = delete;

  const sigset_t& before() const { return before_; }
  const sigset_t& taken() const { return taken_; }

 private:
  sigset_t taken_{}, before_{};
};

ForegroundEnd wait_for(pid_t pid, const sigset_t& taken) {
  ForegroundEnd end;
  for (;;) {
    int status = 0;
    const pid_t got = ::waitpid(pid, &status, WNOHANG);
    if (got == pid || (got < 0 && errno == ECHILD)) {
      end.status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
      return end;
    }
    siginfo_t info{};
    const int signal = ::sigwaitinfo(&taken, &info);
    if (signal > 0 && signal != SIGCHLD) {
      end.interrupted_by = signal;
      if (info.si_code != SI_KERNEL || signal == SIGHUP) {
        ::kill(pid, signal);
      }
    }
  }
}

}  // namespace

Result<ForegroundEnd> run_in_foreground(const ForegroundProgram& program) {
  const Result<std::string> path = resolve_executable(Command{program.arguments, ""});
  if (!path) {
    return path.error();
  }
  bp::environment environment = bp::native_environment();
  for (const EnvironmentVariable& variable : program.inherited.environment) {
    // not [] of it: Boost (1.74) compares there beyond the end of entries that are shorter than the name
    environment.set(variable.name, variable.value);
  }
  const BlockedSignals signals;
  std::error_code failure;
  bp::child child(
      bp::exe = *path,
      bp::args = std::vector<std::string>(program.arguments.begin() + 1, program.arguments.end()),
      bp::start_dir = program.directory.empty() ? "." : program.directory, environment,
      Before(program.inherited, signals.before()), failure);
  child.detach();
  if (failure || child.id() <= 0) {
    return Error{"cannot start " + *path + ": " + failure.message(), kNotExecutable};
  }
  return wait_for(child.id(), signals.taken());
}

}  // namespace crashcrawler
