// Which test was running when a process died.
#pragma once

#include <string>
#include <vector>

#include "runner/model/session.h"

namespace crashcrawler {

// Fills CrashReport::test of all crashes of a session from their environment, command lines, stacks and, where the run was
// one of ctest's, from what ctest says of its tests. `may_ask`: whether ctest may be started for that; a recording that is
// replayed starts nothing. Returns what went wrong, in sentences.
std::vector<std::string> find_tests(Session& session, bool may_ask);

// The same without ctest, of one crash.
TestCase find_test(const CrashReport& crash);

}  // namespace crashcrawler
