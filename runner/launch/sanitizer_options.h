// Stage 1: telling the sanitizers in the command's programs to stop at their first finding.
#pragma once

#include <string>

namespace crashcrawler {

// Appends to ASAN_OPTIONS, LSAN_OPTIONS, MSAN_OPTIONS, TSAN_OPTIONS and UBSAN_OPTIONS of this process, which the command
// inherits, what makes the runtime raise SIGABRT where it finds something: then the stack of the place is there, also
// for findings that would end in exit status 0. What stands there already stays; where an option is given twice the
// runtime takes the last.
void stop_at_sanitizer_findings();

// The value of one such variable with `addition` behind it. Options are separated by colons (sanitizer_common, flag
// parser); a space or a newline would do as well.
std::string with_option(const std::string& value, const std::string& addition);

}  // namespace crashcrawler
