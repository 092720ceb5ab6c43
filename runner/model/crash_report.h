// One crash with everything that is known about it: what the report writers take.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "runner/model/backtrace.h"
#include "runner/model/raw_crash.h"
#include "runner/model/test_case.h"

namespace crashcrawler {

struct Signature {
  std::string algorithm;  // names the rules, so that hashes are compared only with their like
  std::string hash;       // lower-case hex
  std::vector<std::string> frames;  // the normalised frames that went in, top first
};

enum class CrashKind {
  signal,  // died of a core signal
  handled_signal,  // a fault went to the program's own handler, which never returned: the fault is the crash
  killed,  // by somebody outside of the run, or by the kernel
  hang,  // by a test runner of the run that had waited too long, or still there when --timeout was over
  oom,        // by the kernel, for want of memory
  sanitizer,  // ended by a sanitizer's runtime over what it had found
};

struct SanitizerFinding {
  std::string tool;  // "AddressSanitizer"
  std::string kind;  // in its own words: "heap-use-after-free"; empty: not found in memory
  std::string text;  // of its report what was found in memory: all of it, a line, nothing
};

// A file that belongs to a crash.
struct Artifact {
  std::string type;  // "core"
  std::string path;  // below the output directory
  uint64_t size = 0;
  std::string sha256;  // lower-case hex
};

// How the run is told to run no more than the test of a crash.
struct TestAlone {
  std::string name;  // what --only takes; empty: the test is not known, or cannot be had alone
  std::vector<std::string> arguments;  // the command with that
};

struct CrashReport {
  CrashKind kind = CrashKind::signal;
  std::optional<RawSignal>
      followed_by;  // handled_signal: what the process died of in the end, if of a signal
  std::optional<SanitizerFinding>
      sanitizer;  // also of a handled_signal that a sanitizer's handler reported
  std::string
      abort_message;  // what the process said before it aborted, in one line; empty: not known
  std::vector<Ancestor> relayed_by;  // which then died of the same signal on purpose, nearest first
  std::string id;  // "0001-null_write-SIGSEGV": unique in the run, only [A-Za-z0-9._-]
  RawCrash raw;    // stack bytes only until the core is written
  Backtrace backtrace;
  Signature signature;
  TestCase test;
  TestAlone alone;
  std::string expected_reason;  // not empty: it died on purpose, and this says how that is known
  std::vector<Artifact> artifacts;
  std::vector<std::string> soft_errors;  // of making the report
};

inline bool is_unexpected(const CrashReport& report) {
  return report.expected_reason.empty();
}

}  // namespace crashcrawler
