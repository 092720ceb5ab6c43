// A crash as a core file (core(5), elf(5)) of a few kilobytes: what the snapshot has, and what
// debuggers need to find the rest in the files.
#pragma once

#include <string>

#include "runner/base/result.h"
#include "runner/model/crash_report.h"
#include "runner/model/pinned_files.h"

namespace crashcrawler {

// The bytes of the core. `report` still has its stack bytes. Of the initial environment only the
// variables that the report shows are in it. Error: why there can be none.
Result<std::string> core_file(const CrashReport& report, const PinnedFiles& files);

}  // namespace crashcrawler
