// Processes as they are while they live, in the records in which the kernel side tells a death (bpf/crash_event.h).
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "runner/base/result.h"
#include "runner/capture/process_train.h"

namespace crashcrawler {

struct SnapshotOptions {
  uint32_t crash_stack_bytes = 64 << 10;   // of the leader
  uint32_t thread_stack_bytes = 16 << 10;  // of each other thread
  std::vector<pid_t> tree;                 // among them ancestors are looked for
  std::chrono::steady_clock::time_point deadline = std::chrono::steady_clock::time_point::max();
};

// Sends the whole train of one process. `threads`: those that stand still for us, the one that its stack is about first.
void send_snapshot(const std::vector<pid_t>& threads, ProcessTrain& train,
                   const std::vector<AncestorRecord>& ancestors, const SnapshotOptions& options);

// Leaves first.
std::vector<pid_t> children_first(const std::vector<pid_t>& tree);

// Writes the whole train of one process, all its threads stopped meanwhile. Needs no privilege beyond that to
// ptrace(2) it. One that has ended writes nothing. Error: what is missing, a few threads or everything, and why.
Result<void> snapshot_process(pid_t pid, const SnapshotOptions& options, const RecordSink& sink);

// The same of every process in options.tree: first those that have no children among them, for the others are
// waiting for these. Takes ten seconds at most, or until options.deadline. Returns what is missing, in words.
std::vector<std::string> snapshot_tree(SnapshotOptions options, const RecordSink& sink);

}  // namespace crashcrawler
