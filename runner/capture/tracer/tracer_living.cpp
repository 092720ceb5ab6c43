// What a Tracer knows of the processes that live, and how it looks at them when the time of the run is over.
#include <sys/ptrace.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <utility>

#include "runner/capture/live_snapshot.h"
#include "runner/capture/tracer/tracer.h"

namespace crashcrawler {
namespace {

constexpr std::chrono::seconds kTimeForThreads{2};  // to stand still
constexpr std::chrono::seconds kTimeForAll{10};

}  // namespace

// Descendants of those for whom we stood aside are found by their parents.
std::vector<pid_t> Tracer::living() const {
  std::vector<pid_t> pids;
  for (const auto& [pid, process] : processes_) {
    pids.push_back(pid);
  }
  if (apart_.empty()) {
    return pids;
  }
  std::set<pid_t> untraced;
  for (const auto& [pid, start] : apart_) {
    if (Stat(folder_of_process(pid)).start_ns() == start) {
      untraced.insert(pid);
    }
  }
  std::map<pid_t, pid_t> parents;
  std::error_code gone;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", gone)) {
    if (const pid_t pid = std::atoi(entry.path().filename().c_str()); pid > 0) {
      parents[pid] = Stat(entry.path()).parent();
    }
  }
  for (size_t before = 0; before != untraced.size();) {
    before = untraced.size();
    for (const auto& [pid, parent] : parents) {
      if (untraced.contains(parent)) {
        untraced.insert(pid);
      }
    }
  }
  for (const pid_t pid : untraced) {
    const std::string stat = bytes_of_file(folder_of_process(pid) + "/stat");
    const size_t name_end = stat.rfind(") ");
    if (name_end != std::string::npos && stat[name_end + 2] != 'Z' && !processes_.contains(pid)) {
      pids.push_back(pid);
    }
  }
  return pids;
}

std::vector<std::string> Tracer::look(const std::function<void(Clock::time_point)>& wait) {
  const Clock::time_point end = Clock::now() + kTimeForAll;
  std::vector<std::string> missing;
  size_t too_late = 0;
  const std::vector<pid_t> tree = living();
  for (const pid_t pid : children_first(tree)) {
    const Clock::time_point now = Clock::now();
    if (pid == before_exec_ && serves_attempts_) {
      continue;
    }
    if (now >= end) {
      ++too_late;
    } else if (processes_.contains(pid)) {
      look_at(pid, std::min(end, now + kTimeForThreads), wait, missing);
    } else if (const Result<void> seen =
                   snapshot_process(pid, {sizes_.crash, sizes_.thread, tree, end}, voice_.record);
               !seen) {
      missing.push_back(seen.error().message);
    }
  }
  if (too_late > 0) {
    missing.push_back("there was no time to look at " + std::to_string(too_late) +
                      " of the processes");
  }
  return missing;
}

void Tracer::look_at(pid_t pid, Clock::time_point deadline,
                     const std::function<void(Clock::time_point)>& wait,
                     std::vector<std::string>& missing) {
  std::vector<pid_t> tids, standing;
  for (const auto& [tid, thread] : threads_) {
    if (thread.pid == pid && !thread.leaving) {
      tids.push_back(tid);
    }
  }
  processes_[pid].stands = true;
  for (const pid_t tid : tids) {
    ::ptrace(PTRACE_INTERRUPT, tid, nullptr, nullptr);
  }
  const auto is_awaited = [&](pid_t tid) {
    const auto thread = threads_.find(tid);
    return thread != threads_.end() && !thread->second.leaving && !thread->second.parked;
  };
  for (;;) {
    take_events();
    if (std::ranges::none_of(tids, is_awaited) || Clock::now() >= deadline) {
      break;
    }
    wait(deadline);
  }
  for (const auto& [tid, thread] : threads_) {
    if (thread.pid == pid && thread.parked) {
      standing.push_back(tid);
    }
  }
  const auto process = processes_.find(pid);
  if (process == processes_.end()) {
    return;
  }
  if (const auto late = std::ranges::count_if(tids, is_awaited); late > 0) {
    missing.push_back("process " + std::to_string(pid) + " (" + process->second.program->name +
                      "): " + std::to_string(late) +
                      " of its threads did not stop to be looked at");
  }
  if (!standing.empty()) {
    std::stable_partition(standing.begin(), standing.end(),
                          [pid](pid_t tid) { return tid == pid; });
    ProcessTrain train({static_cast<uint32_t>(pid), 0, Stat(folder_of_process(pid)).start_ns()},
                       standing.front(), voice_.record);
    send_snapshot(standing, train, ancestor_records(process->second),
                  {sizes_.crash, sizes_.thread, {}, deadline});
  }
  process->second.stands = false;
  for (const pid_t tid : standing) {
    const auto thread = threads_.find(tid);
    const Parked how = *std::exchange(thread->second.parked, std::nullopt);
    resume(tid, how.request, how.signal);
  }
}

}  // namespace crashcrawler
