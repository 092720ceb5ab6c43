// One crash to one backtrace, with files that are shared between crashes.
#pragma once

#include <string>

#include "runner/model/backtrace.h"
#include "runner/model/pinned_files.h"
#include "runner/model/raw_crash.h"
#include "runner/unwind/image_cache.h"
#include "runner/unwind/unwind.h"

namespace crashcrawler {

class CrashUnwinder {
 public:
  // `files` and `limits` have to outlive it.
  CrashUnwinder(const PinnedFiles& files, const UnwindLimits& limits);

  Backtrace unwind(const RawCrash& crash);

 private:
  const PinnedFiles& files_;
  const UnwindLimits& limits_;
  ImageCache images_;
};

// What is known without opening a file: every thread with its registers and its top frame as module
// and offset. `error` says why there is no more.
Backtrace without_files(const RawCrash& crash, const PinnedFiles& files, const std::string& error);

}  // namespace crashcrawler
