#include "runner/launch/sanitizer_options.h"

#include <gtest/gtest.h>

#include <cstdlib>

namespace crashcrawler {
namespace {

TEST(SanitizerOptions, AreAppendedAndNeverReplaced) {
  ::setenv("ASAN_OPTIONS", "detect_leaks=0:halt_on_error=0", 1);
  ::unsetenv("UBSAN_OPTIONS");
  stop_at_sanitizer_findings();
  EXPECT_STREQ(std::getenv("ASAN_OPTIONS"),
               "detect_leaks=0:halt_on_error=0:abort_on_error=1:halt_on_error=1");
  EXPECT_STREQ(std::getenv("UBSAN_OPTIONS"), "abort_on_error=1:halt_on_error=1");
  for (const char* variable :
       {"ASAN_OPTIONS", "LSAN_OPTIONS", "MSAN_OPTIONS", "TSAN_OPTIONS", "UBSAN_OPTIONS"}) {
    EXPECT_NE(std::getenv(variable), nullptr) << variable;
    ::unsetenv(variable);
  }
}

}  // namespace
}  // namespace crashcrawler
