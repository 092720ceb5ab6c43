// crashes/<id>.txt: everything a person wants to read about one crash.
#pragma once

#include <string>

#include "runner/model/session.h"

namespace crashcrawler {

std::string crash_text(const CrashReport& report, const Session& session);

// The stack of one thread, each line beginning with a space; at most `rows` of them. Used by
// junit.xml too.
std::string stack_text(const ThreadBacktrace& thread, const Backtrace& backtrace,
                       const std::string& directory, size_t rows);

}  // namespace crashcrawler
