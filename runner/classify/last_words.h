// Stage 5: what a process said before it gave up, where its memory still shows it.
#pragma once

#include <string>

#include "runner/model/backtrace.h"
#include "runner/model/raw_crash.h"

namespace crashcrawler {

// Of a process that died of SIGABRT: the message of a failed assertion, of malloc or the stack protector, or the C++
// exception that nobody caught, with its type and words. One line; empty: nothing was found.
std::string last_words(const RawCrash& crash, const Backtrace& backtrace);

}  // namespace crashcrawler
