// The test that was running when a process died.
#pragma once

#include <string>
#include <vector>

namespace crashcrawler {

struct TestCandidate {
  std::string name;  // as that source has it
  std::string
      source;  // "environment PYTEST_CURRENT_TEST", "argument --gtest_filter", "ctest", "frame", ...
};

// A test as its framework names it.
struct TestName {
  std::string suite, name;  // suite empty: the framework has none
  std::string file;         // as the framework has it; empty: it does not say
};

// What the test runner made of the test, by its own log.
enum class RunnerResult { unknown, passed, failed };

struct TestCase {
  std::string name;  // within its suite; empty: not known
  std::string suite;
  std::string
      framework;  // "googletest", "catch2", "doctest", "boost.test", "pytest", "rust", "go", "ctest"
  std::string
      runner;  // what started it: "ctest", "nextest", ...; empty: nothing above the framework
  std::string runner_name;  // what that calls the test (a test of ctest may be a whole suite)
  RunnerResult runner_result = RunnerResult::unknown;
  bool failure_wanted = false;  // the runner counts a failure of it as success (WILL_FAIL of CTest)
  std::string file;             // where it is defined; empty: not known
  int line = 0;
  std::vector<TestCandidate> candidates;  // all that was found, in order of trust
};

// "Suite.Name" as the framework writes it; empty when no test is known.
inline std::string full_name(const TestCase& test) {
  if (test.suite.empty() || test.name.empty()) {
    return test.name;
  }
  const bool by_colons = test.framework == "pytest" || test.framework == "rust";
  return test.suite + (by_colons ? "::" : ".") + test.name;
}

}  // namespace crashcrawler
