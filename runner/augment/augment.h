// Stage 6: the crashes go into the JUnit files that the test runners of the run have written, or died before they
// could write.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "runner/base/result.h"
#include "runner/model/junit_error.h"
#include "runner/model/session.h"

namespace crashcrawler {

struct AugmentOptions {
  std::vector<std::string> globs;  // glob(7), relative to the command's folder
  bool by_itself = true;           // also the files that command lines of the run name
  // Asks the program of a crash for its tests, in the order in which they run; none: nobody is to be asked, or it has no
  // list. Called only for a file that the program owes.
  std::function<Result<std::vector<TestName>>(const CrashReport&)> list_tests;
};

// How bytes of somebody else become text: that of our own reports.
struct AugmentWords {
  std::function<JunitError(const CrashReport&)> error;
  std::function<std::string(std::string_view bytes)> text;                     // lines stay
  std::function<std::string(std::string_view bytes, size_t characters)> line;  // one, and shortened
};

// Rewrites them in place, one by one. A file that cannot be changed safely stays as it is. Returned is what could not
// be done, in words. Deaths on purpose (expected_reason) change nothing.
std::vector<std::string> augment_junit(const Session& session, const AugmentOptions& options,
                                       const AugmentWords& words);

}  // namespace crashcrawler
