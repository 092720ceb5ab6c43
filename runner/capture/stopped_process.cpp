// PTRACE_SEIZE and PTRACE_INTERRUPT (ptrace(2)): no signal is sent, so nothing is seen by the process's handlers, its
// parent or a job-control shell, and one that was stopped stays stopped.
//
// Two things would break it. Waiting for the end of a thread: the command is our child, and its exit status is
// supervise()'s; so only stops are taken. And a thread that does not stop (uninterruptible sleep, a frozen cgroup):
// only a stopped one can be detached. So all of it happens in a thread made for it, because what a tracer has not
// detached is let go by the kernel when that thread ends (exit_ptrace(), kernel/ptrace.c).
#include "runner/capture/stopped_process.h"

#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include "runner/base/file.h"

namespace crashcrawler {
namespace {

std::string folder_of(pid_t pid) {
  return "/proc/" + std::to_string(pid);
}

// Of proc_pid_status(5): "TracerPid:\t4711".
pid_t tracer_of(pid_t tid) {
  constexpr std::string_view kField = "\nTracerPid:\t";
  const Result<std::string> status = read_file(folder_of(tid) + "/status");
  const size_t at = status ? status->find(kField) : std::string::npos;
  return at == std::string::npos ? 0 : std::atoi(status->c_str() + at + kField.size());
}

sigset_t only_sigchld() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGCHLD);
  return set;
}

// Until a child or tracee has something to tell.
void wait_for_news(StoppedProcess::Clock::time_point deadline) {
  const auto left =
      std::max(deadline - StoppedProcess::Clock::now(), StoppedProcess::Clock::duration::zero());
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(left);
  const timespec time{seconds.count(), static_cast<long>((left - seconds).count())};
  const sigset_t set = only_sigchld();
  ::sigtimedwait(&set, nullptr, &time);
}

}  // namespace

Result<void> StoppedProcess::visit(pid_t pid, Clock::time_point deadline,
                                   const std::function<void(const StoppedProcess&)>& look) {
  // Blocked in this thread as well, or it would take the signal that the other one waits for.
  const sigset_t set = only_sigchld();
  sigset_t before;
  ::pthread_sigmask(SIG_BLOCK, &set, &before);
  Result<void> stopped;
  std::thread tracer([&] {
    StoppedProcess process(pid);
    stopped = process.stop(deadline);
    if (stopped) {
      look(process);
    }
    process.let_go();
  });
  tracer.join();
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return stopped;
}

// Threads that are still running make new ones, so it ends when all that are listed stand still.
Result<void> StoppedProcess::stop(Clock::time_point deadline) {
  for (;;) {
    const Result<bool> attached = attach_new_threads();
    if (!attached) {
      return attached.error();
    }
    const bool all_stopped = take_news();
    if ((all_stopped && !*attached) || Clock::now() >= deadline) {
      return {};
    }
    if (!all_stopped) {
      wait_for_news(deadline);
    }
  }
}

// False: there were none.
Result<bool> StoppedProcess::attach_new_threads() {
  bool any = false;
  std::error_code gone;
  for (const auto& entry : std::filesystem::directory_iterator(folder_of(pid_) + "/task", gone)) {
    const pid_t tid = std::atoi(entry.path().filename().c_str());
    if (threads_.contains(tid)) {
      continue;
    }
    if (::ptrace(PTRACE_SEIZE, tid, nullptr, nullptr) == 0) {
      ::ptrace(PTRACE_INTERRUPT, tid, nullptr, nullptr);
      threads_[tid] = {};
      any = true;
      continue;
    }
    const Error refused = errno_error("ptrace(2)");
    if (is_dead(tid)) {
      threads_[tid] = {State::gone, 0};
      continue;
    }
    const pid_t tracer = tracer_of(tid);
    return tracer == 0 ? refused
                       : Error{"process " + std::to_string(tracer) + " is tracing it already"};
  }
  return any;
}

bool StoppedProcess::is_dead(pid_t tid) const {
  const Result<std::string> stat =
      read_file(folder_of(pid_) + "/task/" + std::to_string(tid) + "/stat");
  const size_t name_end = stat ? stat->rfind(") ") : std::string::npos;
  return name_end == std::string::npos || (*stat)[name_end + 2] == 'Z' ||
         (*stat)[name_end + 2] == 'X';
}

// True: no thread is left to be waited for.
bool StoppedProcess::take_news() {
  bool all = true;
  for (auto& [tid, thread] : threads_) {
    if (thread.state != State::attached) {
      continue;
    }
    siginfo_t info{};
    const auto id = static_cast<id_t>(tid);
    const int found = ::waitid(P_PID, id, &info, WSTOPPED | WEXITED | WNOHANG | WNOWAIT | __WALL);
    if (found != 0 || info.si_code == CLD_EXITED || info.si_code == CLD_KILLED ||
        info.si_code == CLD_DUMPED) {
      thread.state = State::gone;
    } else if (info.si_pid == 0) {
      all = false;
    } else {
      ::waitid(P_PID, id, &info, WSTOPPED | WNOHANG | __WALL);
      thread.state = State::stopped;
      // si_status: a signal, and in the next byte what the stop is if it is not the delivery of that signal
      thread.signal = info.si_status >> 8 == 0 ? info.si_status : 0;
    }
  }
  return all;
}

void StoppedProcess::let_go() {
  for (const auto& [tid, thread] : threads_) {
    if (thread.state == State::stopped) {
      ::ptrace(PTRACE_DETACH, tid, nullptr, static_cast<long>(thread.signal));
    }
  }
}

std::vector<pid_t> StoppedProcess::threads() const {
  std::vector<pid_t> tids;
  for (const auto& [tid, thread] : threads_) {
    if (thread.state == State::stopped) {
      tids.push_back(tid);
    }
  }
  std::stable_partition(tids.begin(), tids.end(), [this](pid_t tid) { return tid == pid_; });
  return tids;
}

size_t StoppedProcess::unstopped() const {
  return static_cast<size_t>(std::ranges::count_if(threads_, [this](const auto& entry) {
    return entry.second.state == State::attached && !is_dead(entry.first);
  }));
}

}  // namespace crashcrawler
