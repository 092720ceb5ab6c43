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

struct TestCase {
  std::string name;  // within its suite; empty: not known
  std::string suite;
  std::string
      framework;  // "googletest", "catch2", "doctest", "boost.test", "pytest", "rust", "go", "ctest"
  std::string
      runner;  // what started it: "ctest", "nextest", ...; empty: nothing above the framework
  std::string runner_name;  // what that calls the test (a test of ctest may be a whole suite)
  std::string file;         // where it is defined; empty: not known
  int line = 0;
  std::vector<TestCandidate> candidates;  // all that was found, in order of trust
};

}  // namespace crashcrawler
