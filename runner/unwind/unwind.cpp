#include "runner/unwind/unwind.h"

#include <map>
#include <memory>
#include <utility>

#include "runner/unwind/bounded_child.h"
#include "runner/unwind/crash_unwinder.h"
#include "runner/unwind/wire.h"

namespace crashcrawler {

namespace {

// A program whose files bring the child down does so in each of its thousand crashes, and may take
// the whole time limit for it. It is not tried more often than this.
constexpr int kMostFailures = 3;

}  // namespace

std::vector<Backtrace> unwind(const std::vector<RawCrash>& crashes, const PinnedFiles& files,
                              const UnwindLimits& limits) {
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
      unwinder = std::make_unique<CrashUnwinder>(files, limits);
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

}  // namespace crashcrawler
