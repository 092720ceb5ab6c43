// What is sent of a process that is at its end, in the order of bpf/crash_event.h: what bpf/snapshot.bpf.h,
// memory.bpf.h, signals.bpf.h and sanitizer.bpf.h send, read through ptrace(2) instead.
#pragma once

#include <sys/types.h>

#include <csignal>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "runner/capture/process_train.h"

namespace crashcrawler {

// A signal on its way to a thread, and where the thread was then.
struct Delivered {
  int signal = 0;
  siginfo_t info{};
  user_regs_struct registers{};
};

struct DyingThread {
  pid_t tid = 0;
  user_regs_struct registers{};
  std::optional<Delivered>
      by;  // the signal that ends it; none: an exit, or the kernel did not show it
  std::optional<Delivered> handled;  // the newest core signal before that which a handler has got
  uint64_t handled_count = 0;
  std::string program;  // its name at exec, for a process whose own cannot be read
};

struct StackSizes {
  uint32_t crash = 64 << 10, thread = 16 << 10;  // bytes
};

// A sender as SENDER tells it; the header is filled in here.
using SenderRecord = std::optional<cc_sender>;

// PROCESS and what follows it, up to the THREAD of the dying thread and all that explains it. `signal`: 0 for an exit.
void send_death(ProcessTrain& train, cc_cause cause, int signal, const DyingThread& thread,
                const std::vector<AncestorRecord>& ancestors, const SenderRecord& sender,
                const StackSizes& sizes);

// Another thread of it.
void send_other_thread(const ProcessTrain& train, pid_t tid, const user_regs_struct& registers,
                       const StackSizes& sizes);

// Whether the thread that stands at `registers` ends its process by exit_group(2), called by other code than the C
// library's: a sanitizer's runtime, a static program, Go's.
bool is_exit_group(const user_regs_struct& registers);
bool is_in_libc(const ProcessTrain& train, uint64_t place);

// LeakSanitizer stops the program by ptrace(2) itself. Where it may not it says so and makes the program fail, with
// nothing found. Whether that is why the thread at `registers` exits; one object for a run.
class LeakCheck {
 public:
  bool is_refused(const ProcessTrain& train, const user_regs_struct& registers);

 private:
  bool has_runtime(const ProcessTrain& train, const Region& code);

  std::map<std::pair<uint32_t, uint64_t>, bool> runtimes_;  // by device and inode
};

}  // namespace crashcrawler
