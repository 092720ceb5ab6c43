// Which case of a JUnit file is the test that crashed. Every framework writes its own names.
#pragma once

#include <string>
#include <vector>

#include "runner/augment/junit_document.h"
#include "runner/model/test_case.h"

namespace crashcrawler {

// Indices of the cases that have the test's names, by the strictest rule that fits any; more than one: it cannot be
// told which. `of_ctest`: the file is ctest's, whose tests may be whole programs.
std::vector<size_t> matching_cases(const JunitDocument& document, const TestCase& test,
                                   bool of_ctest);

// Whether two ways to write it mean one suite: "tests/test_score.py::TestLater", "tests.test_score.TestLater", and
// "test_score.TestLater", as seen from another folder.
bool is_same_suite(const std::string& a, const std::string& b);

// The classname that the framework would have written, for a case that it did not. `program`: its file's name.
std::string classname_of(const TestCase& test, const std::string& program);

}  // namespace crashcrawler
