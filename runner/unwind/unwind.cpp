#include "runner/unwind/unwind.h"

#include <algorithm>
#include <map>
#include <memory>
#include <utility>

#include "runner/unwind/bounded_child.h"
#include "runner/unwind/crash_unwinder.h"
#include "runner/unwind/debuginfod.h"
#include "runner/unwind/wire.h"

namespace crashcrawler {

namespace {

// A program whose files bring the child down does so in each of its thousand crashes, and may take
// the whole time limit for it. It is not tried more often than this.
constexpr int kMostFailures = 3;

using DebugPaths = std::map<std::string, std::string>;

// Of the modules with a frame of which no line is known.
std::vector<std::string> build_ids_without_lines(const Backtrace& backtrace) {
  std::vector<std::string> ids;
  for (const ThreadBacktrace& thread : backtrace.threads) {
    for (const Frame& frame : thread.frames) {
      if (!frame.module || !frame.location.file.empty()) {
        continue;
      }
      const Module& module = backtrace.modules[*frame.module];
      if (!module.build_id.empty() && module.path != "[vdso]" &&
          std::ranges::find(ids, module.build_id) == ids.end()) {
        ids.push_back(module.build_id);
      }
    }
  }
  return ids;
}

std::vector<Backtrace> unwind_with(const std::vector<RawCrash>& crashes, const PinnedFiles& files,
                                   const UnwindLimits& limits, const DebugPaths& fetched) {
  ChildLimits child{limits.per_crash, limits.memory, {}};
  for (const auto& [key, file] : files) {
    if (file.fd) {
      child.open_files.push_back(file.fd.get());
    }
  }
  std::map<std::string, int> failures;      // of an executable
  std::unique_ptr<CrashUnwinder> unwinder;  // made in the child

  const auto work = [&](size_t i) {
    const auto failed = failures.find(crashes[i].executable);
    if (failed != failures.end() && failed->second >= kMostFailures) {
      return to_wire(without_files(
          crashes[i], files,
          "given up for this program after " + std::to_string(kMostFailures) + " failures"));
    }
    if (!unwinder) {
      unwinder = std::make_unique<CrashUnwinder>(files, limits, fetched);
    }
    return to_wire(unwinder->unwind(crashes[i]));
  };

  std::vector<Backtrace> backtraces;
  backtraces.reserve(crashes.size());
  const auto deliver = [&](size_t i, const Result<std::string>& bytes) {
    Result<Backtrace> backtrace =
        bytes ? from_wire(*bytes) : Result<Backtrace>(Error{bytes.error()});
    if (!backtrace) {
      ++failures[crashes[i].executable];
    }
    backtraces.push_back(backtrace ? std::move(*backtrace)
                                   : without_files(crashes[i], files, backtrace.error().message));
  };
  work_in_child(crashes.size(), child, work, deliver);
  return backtraces;
}

}  // namespace

// What is missing is known when the stacks have been walked; with what could be fetched they are walked again.
std::vector<Backtrace> unwind(const std::vector<RawCrash>& crashes, const PinnedFiles& files,
                              const UnwindLimits& limits) {
  std::vector<Backtrace> backtraces = unwind_with(crashes, files, limits, {});
  if (!limits.debuginfod) {
    return backtraces;
  }
  std::vector<std::string> wanted;
  for (const Backtrace& backtrace : backtraces) {
    for (const std::string& id : build_ids_without_lines(backtrace)) {
      if (std::ranges::find(wanted, id) == wanted.end()) {
        wanted.push_back(id);
      }
    }
  }
  if (wanted.empty()) {
    return backtraces;
  }
  const FetchedFiles fetched =
      fetch_debug_files(wanted, limits.debuginfod_per_file, limits.debuginfod_in_all);
  if (!fetched.paths.empty()) {
    backtraces = unwind_with(crashes, files, limits, fetched.paths);
  }
  for (Backtrace& backtrace : backtraces) {
    if (!build_ids_without_lines(backtrace).empty()) {
      backtrace.soft_errors.insert(backtrace.soft_errors.end(), fetched.problems.begin(),
                                   fetched.problems.end());
    }
  }
  return backtraces;
}

}  // namespace crashcrawler
