// Stage 3: registers, stack bytes and ELF files become frames with names.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <vector>

#include "runner/model/backtrace.h"
#include "runner/model/pinned_files.h"
#include "runner/model/raw_crash.h"

namespace crashcrawler {

struct UnwindLimits {
  size_t frames = 1024;                // kept per thread
  std::chrono::seconds per_crash{20};  // of processor time and of wall time
  size_t memory = size_t{4} << 30;     // bytes of address space beyond what the child inherits
  std::vector<std::string>
      debug_directories;  // to look for separate debug files before /usr/lib/debug
  bool debuginfod =
      false;  // ask the servers of DEBUGINFOD_URLS for the debug files that are missing
  std::chrono::seconds debuginfod_per_file{10}, debuginfod_in_all{60};
  // files and sources below these are the program's own code (in_app)
  std::vector<std::string> app_directories;
};

// One Backtrace for each crash, in the same order. ELF and DWARF are parsed in a forked child with
// bounded time and memory; files are parsed once for all crashes. A crash whose files bring the
// child down or over a limit comes back with what is known without them (module and offset of the
// top frames) and says so in soft_errors; the rest goes on in a new child. After three such crashes
// of one executable its others are not tried any more. Never fails as a whole.
std::vector<Backtrace> unwind(const std::vector<RawCrash>& crashes, const PinnedFiles& files,
                              const UnwindLimits& limits);

}  // namespace crashcrawler
