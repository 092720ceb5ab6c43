// What a test program had printed before it died: results that no file holds.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace crashcrawler {

enum class TestState { passed, failed, skipped, unfinished };

struct PrintedTest {
  std::string suite, name;  // bytes as printed
  TestState state = TestState::unfinished;
  std::optional<double> seconds;
  std::string words;  // printed while it ran, at most 32 KiB
};

struct PrintedResults {
  std::vector<PrintedTest> tests;  // in the order of their first start; of a repeated test one
  size_t announced = 0;            // how many the program had said it would run; 0: it did not say
};

// Of the output of a program of this framework ("googletest"; "boost.test" with --log_level=test_suite; "pytest" with -v),
// with or without colours. Other text is passed over, other frameworks have nothing.
PrintedResults read_output(const std::string& framework, std::string_view output);

// The output of one test in ctest's log (Testing/Temporary/LastTest.log), the last one when it ran more than once.
// nullopt: the log does not have it.
std::optional<std::string> output_in_ctest_log(std::string_view log, const std::string& test);

// All tests that the log of ctest has, also of one that died over it; suite is empty, words are the output.
PrintedResults read_ctest_log(std::string_view log);

}  // namespace crashcrawler
