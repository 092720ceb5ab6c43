// The same loop as in supervise.cpp over everything that can happen, but with many commands, which are children of the server and not
// ours: it tells of them over its socket.
//
// An attempt is over when its command has ended and its processes have, too, or when --linger is over. What lives on belongs to
// its attempt to the end of the run: it stays in that cgroup, by whose name crashes are told apart.
#include "runner/launch/attempts.h"

#include <poll.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <set>
#include <sstream>

#include "runner/base/file.h"
#include "runner/base/unique_fd.h"
#include "runner/launch/chaos.h"
#include "runner/launch/inherited_signals.h"
#include "runner/launch/job_control.h"
#include "runner/launch/process_tree.h"

namespace crashcrawler {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds kKillTime{5};  // as in supervise.cpp
constexpr int kAskAgain = 20;                 // milliseconds
constexpr size_t kMostLeftovers = 1000;
constexpr int kNotExecutable = 126, kNotFound = 127;

// One attempt that is not over.
struct Running {
  Attempt attempt;
  int job = 0;
  std::string cgroup;  // its own; empty: it has none
  std::optional<ProcessTree> tree;
  bool ended = false;   // the command
  bool killed = false;  // by us, with everything
  Clock::time_point started;
  std::optional<Clock::time_point> timeout_at, grace_end, deadline;  // as in supervise.cpp
};

class Attempts {
 public:
  Attempts(AttemptServer& server, const Command& command, const AttemptPlan& plan,
           const Supervision& supervision, Competitors* competitors, const AttemptHooks& hooks,
           UniqueFd signals)
      : server_(server),
        command_(command),
        plan_(plan),
        supervision_(supervision),
        competitors_(competitors),
        hooks_(hooks),
        signals_(std::move(signals)) {}

  Result<AttemptsOutcome> run() {
    if (const Result<void> prepared = prepare(); !prepared) {
      return prepared.error();
    }
    outcome_.started = std::chrono::system_clock::now();
    while (may_start() || !running_.empty()) {
      if (may_start()) {
        if (const Result<void> started = start_next(); !started) {
          return started.error();
        }
      } else {
        wait_for_something();
      }
      if (const Result<void> heard = hear_server(); !heard) {
        return heard.error();
      }
      take_signals();
      keep_times();
      settle();
    }
    outcome_.duration = Clock::now() - began_;
    return std::move(outcome_);
  }

 private:
  Result<void> prepare() {
    const std::string& cgroup = supervision_.cgroup;
    own_cgroups_ = !cgroup.empty() && ::access(cgroup.c_str(), W_OK) == 0;
    if (!own_cgroups_ && plan_.jobs > 1) {
      return Error{
          "--jobs needs a cgroup for each attempt, and none can be made here; without it one "
          "attempt at a time is possible"};
    }
    outcome_.repetition.jobs = plan_.jobs;
    outcome_.repetition.seed = plan_.chaos_seed;
    jobs_.assign(static_cast<size_t>(plan_.jobs), false);
    if (!plan_.chaos_seed) {
      return {};
    }
    means_.cpus = usable_cpus();
    if (own_cgroups_) {
      hand_down_controllers();
    }
    return {};
  }

  // "No internal processes" (cgroup-v2.rst): the server has to leave the run's cgroup before it can have controllers for those below.
  void hand_down_controllers() {
    const std::string& cgroup = supervision_.cgroup;
    const Result<std::string> list = read_file(cgroup + "/cgroup.controllers");
    std::istringstream names(list ? *list : "");
    const std::string own = cgroup + "/attempts";
    for (std::string name; names >> name;) {
      bool* const means = name == "memory" ? &means_.memory : name == "io" ? &means_.io : nullptr;
      if (!means) {
        continue;
      }
      const bool alone = (::mkdir(own.c_str(), 0755) == 0 || errno == EEXIST) &&
                         static_cast<bool>(server_.move_to(own));
      *means = alone && write_control_file(cgroup + "/cgroup.subtree_control", "+" + name);
    }
  }

  bool is_time_over() const { return plan_.duration && Clock::now() >= began_ + *plan_.duration; }

  bool may_start() {
    if (stopping_ || running_.size() >= static_cast<size_t>(plan_.jobs)) {
      return false;
    }
    if (plan_.most && next_ > *plan_.most) {
      stop(EndedBy::number);
    } else if (next_ > 1 && is_time_over()) {
      stop(EndedBy::time);
    }
    return !stopping_;
  }

  void stop(EndedBy why) {
    if (!stopping_) {
      stopping_ = true;
      outcome_.repetition.ended_by = why;
    }
  }

  Result<void> start_next() {
    Running fresh;
    fresh.attempt.number = next_++;
    const auto job = std::ranges::find(jobs_, false);
    fresh.job = static_cast<int>(job - jobs_.begin());
    if (own_cgroups_) {
      fresh.cgroup = supervision_.cgroup + "/attempt-" + std::to_string(fresh.attempt.number);
      if (::mkdir(fresh.cgroup.c_str(), 0755) != 0) {
        return errno_error("cannot make the cgroup " + fresh.cgroup);
      }
    }
    if (plan_.chaos_seed) {
      ChaosSettings settings =
          chaos_settings(*plan_.chaos_seed, plan_.chaos_first + fresh.attempt.number - 1, means_);
      press_cgroup(fresh.cgroup, command_.working_directory, settings);
      competitors_->begin(fresh.job, settings, fresh.cgroup);
      fresh.attempt.chaos = settings;
    }
    if (!fresh.cgroup.empty()) {
      Result<ProcessTree> tree = ProcessTree::watch(fresh.cgroup);
      if (!tree) {
        return tree.error();
      }
      fresh.tree.emplace(std::move(*tree));
    } else if (supervision_.list_tree || !supervision_.cgroup.empty()) {
      fresh.tree.emplace(ProcessTree::listed_by([this] { return list_without_others(); }));
    }
    fresh.attempt.started = std::chrono::system_clock::now();
    fresh.started = Clock::now();
    const Result<void> asked =
        server_.start_attempt(fresh.attempt.number, fresh.cgroup, fresh.attempt.chaos);
    if (!asked) {
      return asked;
    }
    *job = true;
    running_.push_back(std::move(fresh));
    return wait_for_start();
  }

  // Exec takes less than a millisecond, and until then there is nobody to send signals to.
  Result<void> wait_for_start() {
    const int number = running_.back().attempt.number;
    while (!running_.empty() && running_.back().attempt.number == number &&
           running_.back().attempt.pid == 0 && !running_.back().ended) {
      pollfd polled{server_.fd(), POLLIN, 0};
      ::poll(&polled, 1, -1);
      if (const Result<void> heard = hear_server(); !heard) {
        return heard;
      }
    }
    return {};
  }

  // Without a cgroup of its own: all of the run but the server and what earlier attempts have left.
  std::vector<pid_t> list_without_others() const {
    std::vector<pid_t> pids;
    if (supervision_.list_tree) {
      pids = supervision_.list_tree();
    } else if (const Result<ProcessTree> all = ProcessTree::watch(supervision_.cgroup)) {
      pids = all->pids();
    }
    std::erase_if(pids,
                  [this](pid_t pid) { return pid == server_.pid() || left_over_.contains(pid); });
    return pids;
  }

  void wait_for_something() {
    std::vector<pollfd> polled{{signals_.get(), POLLIN, 0}, {server_.fd(), POLLIN, 0}};
    std::optional<Clock::time_point> next;
    bool must_ask = false;
    for (const Running& running : running_) {
      if (running.ended && running.tree) {
        polled.push_back({running.tree->fd(), POLLPRI, 0});
        must_ask = must_ask || running.tree->fd() < 0;
      }
      for (const auto& time : {running.timeout_at, running.grace_end, running.deadline}) {
        if (time && (!next || *time < *next)) {
          next = time;
        }
      }
    }
    int timeout = must_ask ? kAskAgain : -1;
    if (next) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(*next - Clock::now()).count();
      timeout = static_cast<int>(std::clamp<long>(left, 0, must_ask ? kAskAgain : 3'600'000));
    }
    ::poll(polled.data(), polled.size(), timeout);
  }

  Running* find(int number) {
    const auto found = std::ranges::find_if(
        running_, [number](const Running& running) { return running.attempt.number == number; });
    return found == running_.end() ? nullptr : &*found;
  }

  Result<void> hear_server() {
    for (;;) {
      const Result<std::optional<AttemptEvent>> event = server_.next_event();
      if (!event) {
        return event.error();
      }
      if (!*event) {
        return {};
      }
      if (Running* running = find((*event)->number)) {
        if (const Result<void> taken = take(**event, *running); !taken) {
          return taken;
        }
      }
    }
  }

  Result<void> take(const AttemptEvent& event, Running& running) {
    switch (event.kind) {
      case AttemptEvent::Kind::started:
        running.attempt.pid = event.pid;
        if (supervision_.timeout) {
          running.timeout_at = running.started + *supervision_.timeout;
        }
        break;
      case AttemptEvent::Kind::not_started: {
        const int status = event.status == ENOENT ? kNotFound : kNotExecutable;
        if (running.attempt.number == 1) {
          return Error{
              "cannot execute " + command_.arguments.front() + ": " + std::strerror(event.status),
              status};
        }
        running.attempt.exit_code = status;
        end(running);
        break;
      }
      case AttemptEvent::Kind::stopped:
        if (plan_.jobs == 1) {
          stop_like_the_command(event.pid, event.status);
        }
        break;
      case AttemptEvent::Kind::exited:
        running.attempt.exit_code = event.status;
        end(running);
        break;
      case AttemptEvent::Kind::killed:
        running.attempt.signal = event.status;
        end(running);
        break;
    }
    return {};
  }

  void end(Running& running) {
    running.ended = true;
    running.attempt.duration = Clock::now() - running.started;
    const bool for_ever =
        supervision_.leftovers == LeftoverPolicy::wait && !outcome_.killed && !running.killed;
    if (!for_ever) {
      running.timeout_at.reset();
    }
    if (running.killed) {
      running.deadline = Clock::now() + kKillTime;
    } else if (!for_ever && !running.grace_end) {
      running.deadline = Clock::now() + supervision_.linger;
    }
  }

  bool is_empty(Running& running) {
    if (!running.tree) {
      return true;
    }
    const Result<bool> populated = running.tree->is_populated();
    return !populated || !*populated;
  }

  void take_signals() {
    signalfd_siginfo info{};
    while (::read(signals_.get(), &info, sizeof info) == sizeof info) {
      const int signal = static_cast<int>(info.ssi_signo);
      if (signal != SIGCHLD && !is_from_tree(info)) {
        take_signal(signal, info.ssi_code == SI_KERNEL && (signal == SIGINT || signal == SIGQUIT));
      }
    }
  }

  void take_signal(int signal, bool from_terminal) {
    const bool ends =
        signal == SIGINT || signal == SIGTERM || signal == SIGHUP || signal == SIGQUIT;
    if (ends) {
      stop(EndedBy::interrupt);
      outcome_.interrupted_by = outcome_.interrupted_by != 0 ? outcome_.interrupted_by : signal;
    }
    const bool kills = signal == SIGINT && ++interrupts_ == 2;
    outcome_.killed = outcome_.killed || kills;
    for (Running& running : running_) {
      running.attempt.interrupted = running.attempt.interrupted || (ends && !running.ended);
      if (kills) {
        kill_everything(running);
      } else if (!running.ended && !from_terminal) {  // the terminal has sent it to all
        server_.send_signal(running.attempt.number, signal);
      } else if (running.ended && ends) {
        (running.grace_end ? running.grace_end : running.deadline) = Clock::now();
      }
    }
  }

  // A test that does kill(0, SIGTERM) means its process group. The others in it have got it already.
  bool is_from_tree(const signalfd_siginfo& info) const {
    const auto sender = static_cast<pid_t>(info.ssi_pid);
    return info.ssi_code != SI_KERNEL && std::ranges::any_of(running_, [&](const Running& running) {
             const std::vector<pid_t> pids = processes(running);
             return std::ranges::find(pids, sender) != pids.end();
           });
  }

  // Those of the attempt; where they are not known, its command.
  std::vector<pid_t> processes(const Running& running) const {
    if (running.tree) {
      return running.tree->pids();
    }
    return running.ended || running.attempt.pid == 0 ? std::vector<pid_t>()
                                                     : std::vector<pid_t>{running.attempt.pid};
  }

  void keep_times() {
    const Clock::time_point now = Clock::now();
    for (Running& running : running_) {
      if (running.timeout_at && now >= *running.timeout_at) {
        time_out(running);
      } else if (running.grace_end && now >= *running.grace_end) {
        kill_everything(running);
      }
    }
  }

  void time_out(Running& running) {
    running.timeout_at.reset();
    running.attempt.timed_out = supervision_.timeout;
    if (supervision_.at_timeout) {
      for (std::string& missing : supervision_.at_timeout(processes(running))) {
        outcome_.soft_errors.push_back(std::move(missing));
      }
    }
    running.grace_end = Clock::now() + supervision_.grace;
    signal_all([&] { return processes(running); }, {SIGTERM, SIGCONT});
  }

  void kill_everything(Running& running) {
    running.timeout_at.reset();
    running.grace_end.reset();
    running.killed = true;
    if (!running.ended) {
      server_.send_signal(running.attempt.number, SIGKILL);
    }
    if (running.cgroup.empty() || !write_control_file(running.cgroup + "/cgroup.kill", "1")) {
      signal_all([&] { return processes(running); }, {SIGKILL});
    }
    if (running.ended) {
      running.deadline = Clock::now() + kKillTime;
    }
  }

  // Takes out the attempts that are over.
  void settle() {
    for (size_t i = 0; i < running_.size();) {
      Running& running = running_[i];
      const bool is_late = running.deadline && Clock::now() >= *running.deadline;
      if (!running.ended || !(is_empty(running) || is_late)) {
        ++i;
        continue;
      }
      if (is_late && !is_empty(running) && supervision_.leftovers == LeftoverPolicy::kill &&
          !running.killed) {
        note_leftovers(running);
        kill_everything(running);
        continue;
      }
      Running over = std::move(running);
      running_.erase(running_.begin() + static_cast<std::ptrdiff_t>(i));
      finish(over);
    }
  }

  void note_leftovers(Running& running) {
    if (!running.tree) {
      return;
    }
    for (LeftoverProcess& process : running.tree->processes()) {
      left_over_.insert(process.pid);
      if (outcome_.leftovers.size() < kMostLeftovers) {
        outcome_.leftovers.push_back(std::move(process));
      } else if (!too_many_left_over_) {
        too_many_left_over_ = true;
        outcome_.soft_errors.push_back(
            "more than " + std::to_string(kMostLeftovers) +
            " processes outlived their attempts; the others are not listed");
      }
    }
  }

  void finish(Running& over) {
    if (competitors_) {
      competitors_->end(over.job);
    }
    jobs_[static_cast<size_t>(over.job)] = false;
    if (!is_empty(over) && !over.killed) {
      note_leftovers(over);
    }
    if (!over.cgroup.empty()) {
      ::rmdir(over.cgroup.c_str());  // one in use stays for the probe to remove
    }
    std::vector<Attempt>& attempts = outcome_.repetition.attempts;
    const auto number = static_cast<size_t>(over.attempt.number);
    attempts.resize(std::max(attempts.size(), number));
    const bool passed =
        over.attempt.exit_code == 0 && over.attempt.signal == 0 && !over.attempt.timed_out;
    attempts[number - 1] = std::move(over.attempt);
    ++progress_.ended;
    progress_.not_passed += passed ? 0 : 1;
    progress_.since_start = Clock::now() - began_;
    if (hooks_.progress) {
      hooks_.progress(progress_);
    }
    if (plan_.until_crash && !stopping_ && hooks_.has_crashed && hooks_.has_crashed(attempts)) {
      stop(EndedBy::crash);
    }
  }

  AttemptServer& server_;
  const Command& command_;
  const AttemptPlan& plan_;
  const Supervision& supervision_;
  Competitors* competitors_;  // null: nobody is disturbed
  const AttemptHooks& hooks_;
  UniqueFd signals_;
  ChaosMeans means_;
  bool own_cgroups_ = false;
  bool stopping_ = false;
  bool too_many_left_over_ = false;
  int next_ = 1;
  int interrupts_ = 0;
  std::vector<bool> jobs_;  // which of them are taken
  std::vector<Running> running_;
  std::set<pid_t> left_over_;
  Clock::time_point began_ = Clock::now();
  AttemptProgress progress_;
  AttemptsOutcome outcome_;
};

}  // namespace

Result<AttemptsOutcome> run_attempts(AttemptServer& server, const Command& command,
                                     const AttemptPlan& plan, const Supervision& supervision,
                                     Competitors* competitors, const AttemptHooks& hooks) {
  const sigset_t& supervised = supervised_signals();
  if (sigismember(&supervised, SIGCHLD) != 1) {
    return Error{"run_attempts() was called without block_supervised_signals()"};
  }
  UniqueFd signals(::signalfd(-1, &supervised, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!signals) {
    return errno_error("cannot receive signals for the command");
  }
  return Attempts(server, command, plan, supervision, competitors, hooks, std::move(signals)).run();
}

}  // namespace crashcrawler
