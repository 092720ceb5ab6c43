// One crash to one backtrace, with files that are shared between crashes.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "runner/model/backtrace.h"
#include "runner/model/pinned_files.h"
#include "runner/model/raw_crash.h"
#include "runner/unwind/image_cache.h"
#include "runner/unwind/source_lines.h"
#include "runner/unwind/unwind.h"

namespace crashcrawler {

class CrashUnwinder {
 public:
  // `files` and `limits` have to outlive it. `fetched`: see DebugFileSearch.
  CrashUnwinder(const PinnedFiles& files, const UnwindLimits& limits,
                const std::map<std::string, std::string>& fetched = {});

  Backtrace unwind(const RawCrash& crash);

 private:
  void quote_sources(std::vector<Frame>& frames, const std::vector<Module>& modules,
                     const RawCrash& crash);

  const PinnedFiles& files_;
  const UnwindLimits& limits_;
  ImageCache images_;
  SourceFiles sources_;
};

// What is known without opening a file: every thread with its registers and its top frame as module
// and offset. `error` says why there is no more.
Backtrace without_files(const RawCrash& crash, const PinnedFiles& files, const std::string& error);

}  // namespace crashcrawler
