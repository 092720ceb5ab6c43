// Words that lie in the stack of a dead thread.
#pragma once

#include <string_view>

#include "runner/model/raw_crash.h"

namespace crashcrawler {

// The stack of the thread that ended the process from the lowest byte that was kept to a little above its stack pointer:
// what raises the signal leaves holes in its frames, in which older words are still to be read.
std::string_view dead_stack(const RawCrash& crash);

// The printable line around `at`.
std::string_view line_at(std::string_view text, size_t at);

}  // namespace crashcrawler
