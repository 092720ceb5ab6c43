#include "runner/launch/sanitizer_options.h"

#include <cstdlib>

namespace crashcrawler {

void stop_at_sanitizer_findings() {
  for (const char* variable :
       {"ASAN_OPTIONS", "LSAN_OPTIONS", "MSAN_OPTIONS", "TSAN_OPTIONS", "UBSAN_OPTIONS"}) {
    const char* value = std::getenv(variable);
    ::setenv(variable, with_option(value ? value : "", "abort_on_error=1:halt_on_error=1").c_str(),
             1);
  }
}

std::string with_option(const std::string& value, const std::string& addition) {
  return value.empty() ? addition : value + ":" + addition;
}

}  // namespace crashcrawler
