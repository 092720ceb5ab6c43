// What a sanitizer found, read from the stack and the memory of the process that it ended.
#pragma once

#include <cstddef>
#include <optional>

#include "runner/model/backtrace.h"
#include "runner/model/crash_report.h"
#include "runner/model/raw_crash.h"

namespace crashcrawler {

// How many frames at the top of `thread` are the sanitizer's runtime, or what it raises a signal with; 0: none is the
// runtime's.
size_t runtime_frames(const ThreadBacktrace& thread, const std::vector<Module>& modules);

// nullopt: it was no sanitizer that ended the process. What could not be found out is empty.
std::optional<SanitizerFinding> find_sanitizer(const RawCrash& crash, const Backtrace& backtrace);

}  // namespace crashcrawler
