// All that the checks see of the machine, so that a test can show them another one.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "runner/base/result.h"

namespace crashcrawler {

// What a command said and how it ended.
struct Answer {
  int status = 0;  // of exit(3); 128+N for signal N; 127: it could not be started
  std::string words;
};

// Tries return 0 or the errno that they met, and leave nothing behind.
struct World {
  std::string root;  // stands before every path that is read
  uid_t user = 0;    // effective
  std::string user_name, home, working_directory;
  std::string probe, why_no_probe;  // one of them is empty
  std::string output_directory;     // where the reports are to go

  std::function<std::string(const char*)> variable;  // of the environment; "": not set
  std::function<bool(int)> is_ambient;               // capability, survives exec
  std::function<int()> try_bpf;                      // bpf(2) with a command that there is not
  std::function<int()> try_ptrace;                   // PTRACE_SEIZE of a child
  std::function<int(const std::string&)>
      try_cgroup;  // a new one in this folder, with a process in it
  std::function<int(const std::string&)> try_file;  // a new one in this folder
  std::function<Answer(const std::vector<std::string>&)>
      ask;  // runs a command, stdin empty, LC_ALL=C
  std::function<bool(const std::string&)> has_debug_information;  // for the ELF file at this path
  std::function<std::pair<uint64_t, uint64_t>()> core_limits;     // RLIMIT_CORE, soft and hard

  // RLIMIT_NOFILE, soft and hard
  std::function<std::pair<uint64_t, uint64_t>()> descriptor_limits;

  // A file below root; "" when it cannot be read.
  std::string text_of(const std::string& path) const;
  bool exists(const std::string& path) const;

  // A field of /proc/self/status, "" when there is none.
  std::string status_field(const std::string& name) const;
};

// The one we are in. What is not the business of this stage (probe, output_directory, has_debug_information)
// is left empty.
World this_world();

}  // namespace crashcrawler
