// What a check has found, and what it says of the run.
#pragma once

#include <string>
#include <vector>

namespace crashcrawler {

// missing: the part it belongs to does not work without. limited: it works, but see the cost.
enum class State { ok, limited, missing };

// What the finding matters for: capture by BPF, the cgroup of the run, ptrace(2), or the run as such.
enum class Part { bpf, cgroup, ptrace, run };

// What can be asked of whoever starts us; each has a line for each place (mending.h).
enum class Need {
  root,                // the process is an ordinary user's, and there is no sudo
  new_privileges,      // no_new_privs keeps sudo from becoming root
  sudo_rule,           // a sudo that starts the probe without a password
  capabilities,        // CAP_BPF and CAP_PERFMON
  own_user_namespace,  // none of its own: BPF asks for capabilities in the first one
  system_calls,        // bpf(2) or ptrace(2), past a filter
  cgroup,              // a cgroup2 file system that can be written to
  sysfs,               // /sys
  types,               // /sys/kernel/btf/vmlinux, which something hides
  procfs,              // /proc
  ptrace_scope,        // yama
  output,              // another folder for the reports
  temporary,           // another folder for temporary files
  debug_information,   // of the C library
  descriptors,         // RLIMIT_NOFILE of more than a few
  core_limit,          // RLIMIT_CORE of at least 1
};

// What it costs to have no BPF.
inline constexpr const char* kCostOfPtrace =
    "crashes are captured by ptrace(2) at best: slower, and debuggers, strace, setuid programs and "
    "LeakSanitizer do "
    "not work in the run";

// Of RLIMIT_NOFILE. BPF takes between 32 and 40.
inline constexpr unsigned kFewestDescriptors = 64;

struct Finding {
  std::string check;  // its name in kChecks
  State state = State::ok;
  Part part = Part::run;
  std::string found;        // one line
  std::string cost;         // what the user does not get; empty when ok
  std::vector<Need> needs;  // what would mend it
  std::string advice;       // where no line can mend it: what to do, in words
};

// What came of capturing for real a process that dies on purpose.
struct Trial {
  bool tried = false;
  bool captured = false;
  std::string cgroup;                 // empty: followed from fork to fork
  std::vector<std::string> degraded;  // what the collector says this machine does not allow
  std::string error;                  // why nothing was captured
};

struct Trials {
  Trial bpf, ptrace;
};

}  // namespace crashcrawler
