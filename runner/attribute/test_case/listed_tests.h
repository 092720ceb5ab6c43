// The tests that a test program says it has. It says so only when it is started once more, which runs its static
// initialisers and its main(): nobody asks but for a JUnit file that a dead program owes.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "runner/base/result.h"
#include "runner/model/crash_report.h"

namespace crashcrawler {

// How a program is asked for its tests; arguments empty: it cannot be, because its list would be another one than that
// of the tests that ran (shards, filters that the list does not know), or its framework has none.
struct TestListQuestion {
  std::vector<std::string>
      arguments;  // of the program, its name first, without what names a file to write
};

TestListQuestion question_for_list(const CrashReport& crash);

// What GoogleTest, Catch2, doctest, Boost.Test or pytest answers. Other text is passed over; at most 100,000 tests.
std::vector<TestName> parse_test_list(const std::string& framework, const std::string& output);

// Asks the program of a crash, as the caller, in the folder that it died in, without input, for `longest`. Empty: it
// is not to be asked. Error: it has not answered, or is not what had run (another user, root or mount namespace, a file
// that was replaced).
Result<std::vector<TestName>> list_tests(
    const CrashReport& crash, std::chrono::milliseconds longest = std::chrono::seconds(5));

}  // namespace crashcrawler
