#include "runner/capture/tracer/traced_thread.h"

#include <sys/ptrace.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdlib>
#include <string>
#include <string_view>

#include "runner/capture/proc_files.h"

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

uint64_t oom_kills() {
  const std::string counters = "\n" + bytes_of_file("/proc/vmstat");
  constexpr std::string_view kName = "\noom_kill ";
  const size_t at = counters.find(kName);
  return at == std::string::npos ? 0
                                 : std::strtoull(counters.c_str() + at + kName.size(), nullptr, 10);
}

}  // namespace crashcrawler
