// One run of the wrapper with all its crashes: the value every report is written from.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "runner/model/crash_report.h"
#include "runner/model/run.h"

namespace crashcrawler {

struct SystemInfo {
  std::string os, kernel, cpu_arch, os_release;  // "Linux", uname -r, uname -m, PRETTY_NAME
  int cpu_count = 0;
};

struct Session {
  Command command;
  RunOutcome outcome;
  Health health;
  std::string backend;  // "bpf" or "ptrace"
  SystemInfo system;
  std::vector<CrashReport> crashes;   // in the order of death
  uint64_t crashes_without_core = 0;  // although cores were wanted
  std::vector<std::string> soft_errors;
};

}  // namespace crashcrawler
