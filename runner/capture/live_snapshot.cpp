// Differences from what the kernel side knows: the start time has the resolution of a clock tick, so the key is never
// that of the same process's death; ancestors are those that live.
#include "runner/capture/live_snapshot.h"

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "runner/capture/stopped_process.h"

namespace crashcrawler {
namespace {

using namespace std::string_view_literals;
using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds kTimeForAll{10};
constexpr std::chrono::seconds kTimeForOne{2};

std::vector<AncestorRecord> living_ancestors(pid_t pid, const std::vector<pid_t>& tree) {
  std::vector<AncestorRecord> ancestors;
  for (pid_t parent = Stat(folder_of_process(pid)).parent();
       ancestors.size() < CC_PARENTS && std::ranges::find(tree, parent) != tree.end();) {
    const std::string folder = folder_of_process(parent);
    const Stat stat(folder);
    ancestors.push_back({{static_cast<uint32_t>(parent), 0, stat.start_ns()},
                         name_in(folder),
                         bytes_of_file(folder + "/cmdline")});
    parent = stat.parent();
  }
  return ancestors;
}

std::string in_words(pid_t pid) {
  const std::string name = name_in(folder_of_process(pid));
  return "process " + std::to_string(pid) + (name.empty() ? "" : " (" + name + ")");
}

// The privileged part of a run inside of this one, or the sudo(8) before it, which an ordinary user may not look at. They wait for
// that run; what hangs is in it.
bool is_inner_probe(pid_t pid) {
  const std::string command = bytes_of_file(folder_of_process(pid) + "/cmdline");
  return command.find("/crashcrawler-probe\0"sv) != std::string::npos;
}

}  // namespace

// By how far the furthest descendant is away.
std::vector<pid_t> children_first(const std::vector<pid_t>& tree) {
  std::map<pid_t, pid_t> parents;
  for (const pid_t pid : tree) {
    parents[pid] = Stat(folder_of_process(pid)).parent();
  }
  std::map<pid_t, size_t> heights;
  for (const pid_t pid : tree) {
    // bounded, because parents that were read at different moments may go round in a circle
    size_t height = 0;
    for (auto at = parents.find(pid); at != parents.end() && height <= tree.size(); ++height) {
      heights[at->first] = std::max(heights[at->first], height);
      at = parents.find(at->second);
    }
  }
  std::vector<pid_t> ordered = tree;
  std::ranges::sort(ordered, {}, [&](pid_t pid) { return std::pair(heights[pid], pid); });
  return ordered;
}

void send_snapshot(const std::vector<pid_t>& threads, ProcessTrain& train,
                   const std::vector<AncestorRecord>& ancestors, const SnapshotOptions& options) {
  train.send(train.process(CC_CAUSE_TIMEOUT, threads.front()));
  train.send_ancestors(ancestors);
  train.send_surroundings();
  train.send_environment();
  for (const pid_t tid : threads) {
    const bool first = tid == threads.front();
    const std::optional<user_regs_struct> registers = registers_of(tid);
    if (registers) {  // else killed meanwhile: its death tells the rest
      train.send_thread(
          tid, first ? CC_THREAD_CRASHED : 0,
          {CC_REDZONE, first ? options.crash_stack_bytes : options.thread_stack_bytes}, *registers);
    }
  }
  train.send_regions();
  train.send_end(threads.size(), 0);
}

Result<void> snapshot_process(pid_t pid, const SnapshotOptions& options, const RecordSink& sink) {
  const std::string process = in_words(pid);
  size_t unstopped = 0;
  const auto look = [&](const StoppedProcess& stopped) {
    unstopped = stopped.unstopped();
    const std::vector<pid_t> threads = stopped.threads();
    if (!threads.empty()) {
      ProcessTrain train({static_cast<uint32_t>(pid), 0, Stat(folder_of_process(pid)).start_ns()},
                         threads.front(), sink);
      send_snapshot(threads, train, living_ancestors(pid, options.tree), options);
    }
  };
  const Result<void> visited =
      StoppedProcess::visit(pid, std::min(options.deadline, Clock::now() + kTimeForOne), look);
  if (!visited) {
    return visited.error().in(process + " could not be looked at");
  }
  if (unstopped > 0) {
    return Error{process + ": " + std::to_string(unstopped) +
                 " of its threads did not stop to be looked at"};
  }
  return {};
}

std::vector<std::string> snapshot_tree(SnapshotOptions options, const RecordSink& sink) {
  options.deadline = std::min(options.deadline, Clock::now() + kTimeForAll);
  std::vector<std::string> missing;
  size_t too_late = 0;
  for (const pid_t pid : children_first(options.tree)) {
    if (Clock::now() >= options.deadline) {
      ++too_late;
      continue;
    }
    const Result<void> seen = snapshot_process(pid, options, sink);
    if (!seen && !is_inner_probe(pid)) {
      missing.push_back(seen.error().message);
    }
  }
  if (too_late > 0) {
    missing.push_back("there was no time to look at " + std::to_string(too_late) +
                      " of the processes");
  }
  return missing;
}

}  // namespace crashcrawler
