// One run of the wrapper with all its crashes: the value every report is written from.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "runner/model/attempt.h"
#include "runner/model/crash_report.h"
#include "runner/model/inherited.h"
#include "runner/model/run.h"

namespace crashcrawler {

struct SystemInfo {
  std::string os, kernel, cpu_arch, os_release;  // "Linux", uname -r, uname -m, PRETTY_NAME
  int cpu_count = 0;
  std::string container_image;  // that we run in, as CRASHCRAWLER_IMAGE says; empty: it does not
};

// The tests that a test runner was to run, as it says itself.
struct RunnerTests {
  std::string runner;              // "ctest"
  std::string folder;              // where it was asked
  std::vector<std::string> names;  // in its order
};

struct Session {
  Command command;
  RunOutcome outcome;
  Health health;
  std::string backend;  // "bpf" or "ptrace"
  SystemInfo system;
  std::optional<Inherited> inherited;  // none: not known, as in old recordings
  std::vector<CrashReport> crashes;    // in the order of death
  std::vector<RunnerTests> runner_tests;
  uint64_t crashes_without_core = 0;  // although cores were wanted
  std::optional<Repetition>
      repetition;  // --repeat and its like: `outcome` is that of them together
  std::vector<std::string> soft_errors;
};

}  // namespace crashcrawler
