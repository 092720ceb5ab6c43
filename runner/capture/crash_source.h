// The seam between capture and everything after it: whatever the crashes of a run come from
// (BpfSource, RecordedSource), they are handed on as one Captured.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <string>
#include <vector>

#include "runner/model/pinned_files.h"
#include "runner/model/raw_crash.h"
#include "runner/model/run.h"

namespace crashcrawler {

struct Captured {
  std::vector<RawCrash> crashes;  // in the order of death
  PinnedFiles files;
  Health health;
  std::vector<std::string> soft_errors;  // what the collector has done to the run
  std::string
      unwatched;  // why nobody has seen what the container of the command did; empty: somebody has, or it has none
  pid_t wrapper_pid = 0, probe_pid = 0;  // our own, to be told from senders of signals; 0: none
};

// What the records of a run mean depends on this.
struct Circumstances {
  pid_t wrapper_pid = 0;
  std::chrono::nanoseconds boot_to_wall{};  // to be added to CLOCK_BOOTTIME
};

// Those of a run that begins now in this process.
Circumstances circumstances_now();

// What a run with --best-effort has where capture was impossible.
Captured nothing_captured(const std::string& why);

}  // namespace crashcrawler
