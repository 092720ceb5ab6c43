// One loop over everything that can happen while the command runs: a signal for us, a change of the
// command's state (SIGCHLD), the tree has become empty (cgroup.events), a time is over.
//
// Descendants that lose their parent go to init (or to the nearest subreaper) as they would without
// us. We do not make ourselves a subreaper: a daemonising test would see another parent than pid 1,
// and we would have to reap for it.
#include "runner/launch/supervise.h"

#include <poll.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <optional>
#include <vector>

#include "runner/base/unique_fd.h"
#include "runner/launch/inherited_signals.h"
#include "runner/launch/job_control.h"
#include "runner/launch/process_tree.h"

namespace crashcrawler {
namespace {

using Clock = std::chrono::steady_clock;

// How long SIGKILL may take to empty the tree. Only uninterruptible sleep (a dead NFS server) takes
// longer.
constexpr std::chrono::seconds kKillTime{5};

// A list of processes tells by no event that it has become empty. Milliseconds.
constexpr int kAskAgain = 20;

class Supervisor {
 public:
  Supervisor(HeldCommand& command, const Supervision& supervision, UniqueFd signals,
             std::optional<ProcessTree> tree)
      : command_(command),
        supervision_(supervision),
        signals_(std::move(signals)),
        tree_(std::move(tree)) {}

  RunOutcome run() {
    outcome_.started = command_.started();
    if (supervision_.timeout) {
      timeout_at_ = command_.started_steady() + *supervision_.timeout;
    }
    reap();
    while (!(ended_ && is_tree_empty()) && !is_time_over()) {
      wait_for_something();
      // In this order: a SIGCHLD that is read here must be followed by a look at the command, and a signal that came
      // when the command was dead is for us and not for its zombie.
      const std::vector<signalfd_siginfo> signals = read_signals();
      reap();
      pass_on(signals);
      keep_time();
    }
    settle_leftovers();
    return std::move(outcome_);
  }

  RunOutcome& outcome() { return outcome_; }

 private:
  void wait_for_something() {
    pollfd polled[] = {{signals_.get(), POLLIN, 0},
                       {ended_ && tree_ ? tree_->fd() : -1, POLLPRI, 0}};
    const bool must_ask = ended_ && tree_ && tree_->fd() < 0;
    int timeout = must_ask ? kAskAgain : -1;
    if (const std::optional<Clock::time_point> next = next_deadline()) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(*next - Clock::now()).count();
      timeout = static_cast<int>(std::clamp<long>(left, 0, must_ask ? kAskAgain : 3'600'000));
    }
    ::poll(polled, 2, timeout);  // an error shows up as nothing to do, and the next round
  }

  std::optional<Clock::time_point> next_deadline() const {
    std::optional<Clock::time_point> next;
    for (const auto& time : {deadline_, timeout_at_, grace_end_}) {
      if (time && (!next || *time < *next)) {
        next = time;
      }
    }
    return next;
  }

  std::vector<signalfd_siginfo> read_signals() const {
    std::vector<signalfd_siginfo> signals;
    signalfd_siginfo info{};
    while (::read(signals_.get(), &info, sizeof info) == sizeof info) {
      signals.push_back(info);
    }
    return signals;
  }

  void pass_on(const std::vector<signalfd_siginfo>& signals) {
    for (const signalfd_siginfo& info : signals) {
      if (info.ssi_signo != SIGCHLD && !is_from_tree(info)) {
        take(info);
      }
    }
  }

  void take(const signalfd_siginfo& info) {
    const int signal = static_cast<int>(info.ssi_signo);
    if (signal == SIGINT && ++interrupts_ == 2) {
      outcome_.interrupted = true;
      kill_tree();
      return;
    }
    if (ended_) {
      if (signal == SIGINT || signal == SIGTERM || signal == SIGHUP || signal == SIGQUIT) {
        (grace_end_ ? grace_end_ : deadline_) = Clock::now();
      }
    } else if (!is_from_terminal(info)) {
      ::kill(command_.pid(), signal);
    }
  }

  // The terminal has sent it to the foreground process group, and so to the command as well. Except
  // a hangup, which goes to the session leader alone (tty_signal_session_leader(),
  // drivers/tty/tty_jobctrl.c): if that is us, the command would have been it.
  static bool is_from_terminal(const signalfd_siginfo& info) {
    if (info.ssi_code != SI_KERNEL) {
      return false;
    }
    switch (static_cast<int>(info.ssi_signo)) {
      case SIGINT:
      case SIGQUIT:
        return true;
      case SIGHUP:
        return ::getsid(0) != ::getpid();
      default:
        return false;
    }
  }

  // A test that does kill(0, SIGTERM) means its process group. The command has got it already.
  bool is_from_tree(const signalfd_siginfo& info) const {
    if (info.ssi_code == SI_KERNEL) {
      return false;
    }
    const auto sender = static_cast<pid_t>(info.ssi_pid);
    if (sender == command_.pid()) {
      return true;
    }
    const std::vector<pid_t> pids = tree_ ? tree_->pids() : std::vector<pid_t>();
    return std::find(pids.begin(), pids.end(), sender) != pids.end();
  }

  void keep_time() {
    if (timeout_at_ && Clock::now() >= *timeout_at_) {
      time_out();
    } else if (grace_end_ && Clock::now() >= *grace_end_) {
      kill_tree();
    }
  }

  void time_out() {
    timeout_at_.reset();
    outcome_.timed_out = supervision_.timeout;
    if (supervision_.at_timeout) {
      for (std::string& missing : supervision_.at_timeout(processes())) {
        outcome_.soft_errors.push_back(std::move(missing));
      }
    }
    grace_end_ = Clock::now() + supervision_.grace;
    // SIGCONT as timeout(1) does: one that is stopped gets its SIGTERM only then.
    signal_all([this] { return processes(); }, {SIGTERM, SIGCONT});
    reap();  // looking at processes takes SIGCHLD away from us
  }

  // Those of the tree; without one, the command.
  std::vector<pid_t> processes() const {
    std::vector<pid_t> pids = tree_ ? tree_->pids() : std::vector<pid_t>();
    if (!ended_ && std::ranges::find(pids, command_.pid()) == pids.end()) {
      pids.push_back(command_.pid());
    }
    return pids;
  }

  void kill_tree() {
    timeout_at_.reset();
    grace_end_.reset();
    if (!ended_) {
      ::kill(command_.pid(), SIGKILL);  // also when whoever may kill the rest is gone
    }
    if (supervision_.kill_tree) {
      supervision_.kill_tree();
    } else {
      signal_all([this] { return processes(); }, {SIGKILL});
    }
    deadline_after_end_ = kKillTime;
    if (ended_) {
      deadline_ = Clock::now() + kKillTime;
    }
  }

  void reap() {
    siginfo_t info{};
    while (!ended_ &&
           ::waitid(P_PID, static_cast<id_t>(command_.pid()), &info,
                    WEXITED | WSTOPPED | WNOHANG) == 0 &&
           info.si_pid != 0) {
      if (info.si_code == CLD_STOPPED) {
        stop_like_the_command(command_.pid(), info.si_status);
      } else if (info.si_code == CLD_EXITED) {
        outcome_.exit_code = info.si_status;
        end();
      } else if (info.si_code == CLD_KILLED || info.si_code == CLD_DUMPED) {
        outcome_.signal = info.si_status;
        end();
      }
      info = {};
    }
  }

  void end() {
    ended_ = true;
    outcome_.duration = Clock::now() - command_.started_steady();
    const bool for_ever = supervision_.leftovers == LeftoverPolicy::wait && !outcome_.interrupted;
    if (!for_ever) {
      timeout_at_.reset();
    }
    if (deadline_after_end_ || (!for_ever && !grace_end_)) {
      deadline_ = Clock::now() + deadline_after_end_.value_or(supervision_.linger);
    }
  }

  bool is_tree_empty() {
    if (!tree_) {
      return true;
    }
    const Result<bool> populated = tree_->is_populated();
    if (!populated) {
      outcome_.soft_errors.push_back(populated.error().message +
                                     ": processes that outlived the command are not known");
      tree_.reset();
    }
    return !populated || !*populated;
  }

  bool is_time_over() const { return ended_ && deadline_ && Clock::now() >= *deadline_; }

  void settle_leftovers() {
    if (is_tree_empty()) {
      return;
    }
    outcome_.leftovers = tree_->processes();
    if (supervision_.leftovers == LeftoverPolicy::kill) {
      kill_tree();
      while (!is_tree_empty() && !is_time_over()) {
        wait_for_something();
        pass_on(read_signals());
      }
    }
  }

  HeldCommand& command_;
  const Supervision& supervision_;
  UniqueFd signals_;
  std::optional<ProcessTree> tree_;
  RunOutcome outcome_;
  bool ended_ = false;
  int interrupts_ = 0;
  std::optional<Clock::time_point> timeout_at_;        // none: no time-out, or it is past
  std::optional<Clock::time_point> grace_end_;         // between SIGTERM and SIGKILL to the tree
  std::optional<Clock::time_point> deadline_;          // of the waiting for the tree
  std::optional<Clock::duration> deadline_after_end_;  // instead of linger
};

}  // namespace

Result<RunOutcome> supervise(HeldCommand& command, const Supervision& supervision) {
  const sigset_t& supervised = supervised_signals();
  if (sigismember(&supervised, SIGCHLD) != 1) {
    return Error{"supervise() was called without block_supervised_signals()"};
  }
  UniqueFd signals(::signalfd(-1, &supervised, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!signals) {
    return errno_error("cannot receive signals for the command");
  }
  std::optional<ProcessTree> tree;
  std::optional<Error> no_tree;
  if (!supervision.cgroup.empty()) {
    Result<ProcessTree> watched = ProcessTree::watch(supervision.cgroup);
    if (watched) {
      tree.emplace(std::move(*watched));
    } else {
      no_tree = watched.error();
    }
  } else if (supervision.list_tree) {
    tree.emplace(ProcessTree::listed_by(supervision.list_tree));
  }
  Supervisor supervisor(command, supervision, std::move(signals), std::move(tree));
  if (no_tree) {
    supervisor.outcome().soft_errors.push_back(no_tree->message);
  }
  return supervisor.run();
}

}  // namespace crashcrawler
