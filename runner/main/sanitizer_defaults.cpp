// Linked into our programs by CRASHCRAWLER_SANITIZERS alone, with defaults that ASAN_OPTIONS still overrides: the run-time
// library of AddressSanitizer asks the program for these functions (sanitizer/asan_interface.h, sanitizer/lsan_interface.h).
#include <sanitizer/asan_interface.h>
#include <sanitizer/lsan_interface.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <string>

// Else it lowers RLIMIT_CORE, which the command inherits from us.
extern "C" const char* __asan_default_options() {
  return "disable_coredump=0";
}

// Leaks are looked for at the end, by ptrace(2) and proc(5), and it is a failure where those cannot be had: in a run inside of
// a run that captures by ptrace(2) itself, without /proc, of who has become another user (PR_SET_DUMPABLE, prctl(2)), and where a
// filter refuses ptrace(2), which otherwise says ESRCH of a process that is not being traced.
extern "C" int __lsan_is_turned_off() {
  bool untraced = false;
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    untraced |= line == "TracerPid:\t0";
  }
  const bool refused =
      ::ptrace(PTRACE_PEEKDATA, ::getpid(), nullptr, nullptr) == -1 && errno != ESRCH;
  return untraced && !refused && ::prctl(PR_GET_DUMPABLE) == 1 ? 0 : 1;
}
