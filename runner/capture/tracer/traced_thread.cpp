#include "runner/capture/tracer/traced_thread.h"

#include <elf.h>
#include <sys/ptrace.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>

#include "bpf/crash_event.h"
#include "runner/capture/proc_files.h"
#include "runner/capture/process_memory.h"

namespace crashcrawler {

bool is_fatal_signal(int signal) {
  constexpr std::array<int, 8> kHarmless = {SIGCHLD, SIGCONT, SIGSTOP, SIGTSTP,
                                            SIGTTIN, SIGTTOU, SIGURG,  SIGWINCH};
  return std::ranges::find(kHarmless, signal) == kHarmless.end();
}

bool is_stop_signal(int signal) {
  return signal == SIGSTOP || signal == SIGTSTP || signal == SIGTTIN || signal == SIGTTOU;
}

int event_message(pid_t tid) {
  unsigned long message = 0;
  ::ptrace(PTRACE_GETEVENTMSG, tid, nullptr, &message);
  return static_cast<int>(message);
}

// System V ABI, AMD64 supplement, 3.4.1: argc, the arguments, 0, the environment, 0, the auxiliary vector. i386 has the same of
// words half the size.
Executed executed_by(pid_t tid) {
  constexpr uint64_t kUserCode64 = 0x33;  // __USER_CS, arch/x86/include/asm/segment.h
  constexpr size_t kMostWords = 1 << 16, kLongestPath = 4096;
  Executed executed;
  const std::optional<user_regs_struct> registers = registers_of(tid);
  if (!registers) {
    return executed;
  }
  const ProcessMemory memory(tid);
  const bool is_64_bit = registers->cs == kUserCode64;
  uint64_t at = registers->rsp;
  const auto next = [&] {
    const uint64_t place = at;
    at += is_64_bit ? sizeof(uint64_t) : sizeof(uint32_t);
    return is_64_bit ? memory.at<uint64_t>(place) : uint64_t{memory.at<uint32_t>(place)};
  };
  next();  // argc
  size_t words = 0;
  for (uint64_t argument = next(); argument != 0 && ++words < kMostWords; argument = next()) {
    if (executed.command.size() < CC_COMMAND_SIZE) {
      executed.command += memory.string_at(argument, CC_COMMAND_SIZE) + '\0';
    }
  }
  while (next() != 0 && ++words < kMostWords) {  // the environment
  }
  for (uint64_t type = next(); type != AT_NULL && ++words < kMostWords; type = next()) {
    const uint64_t value = next();
    if (type == AT_EXECFN) {
      executed.path = memory.string_at(value, kLongestPath);
    }
  }
  return executed;
}

uint64_t oom_kills() {
  const std::string counters = "\n" + bytes_of_file("/proc/vmstat");
  constexpr std::string_view kName = "\noom_kill ";
  const size_t at = counters.find(kName);
  return at == std::string::npos ? 0
                                 : std::strtoull(counters.c_str() + at + kName.size(), nullptr, 10);
}

}  // namespace crashcrawler
