// The lines are those of GoogleTest's PrettyUnitTestResultPrinter (googletest/src/gtest.cc), Boost.Test's
// compiler_log_formatter.ipp (1.74), pytest's terminal.py (7.2) and of cmCTestRunTest.cxx. Catch2 and doctest print nothing
// when they write a JUnit file, and that they write as they go; Rust's and Go's tests have no such file.
// A test may print anything, lines like these too: so an end counts only for the test that has begun and not ended,
// and the footer's list of failed tests is none.
#include "runner/augment/printed_results.h"

#include <charconv>
#include <cstdlib>
#include <map>

#include "runner/base/next_line.h"

namespace crashcrawler {
namespace {

constexpr size_t kMostWords = 32768;
constexpr size_t kMostTests = 100'000;
constexpr size_t kLongestName = 4096;

// Without its colour sequences (ESC [ ... m), when it begins with one.
std::string uncoloured(std::string_view line) {
  std::string plain;
  for (size_t i = 0; i < line.size(); ++i) {
    if (line[i] == '\x1b' && i + 1 < line.size() && line[i + 1] == '[') {
      const size_t end = line.find('m', i);
      if (end != line.npos && end - i < 16) {
        i = end;
        continue;
      }
    }
    plain += line[i];
  }
  return plain;
}

// " (12 ms)" at the end of a line, taken off.
std::optional<double> take_time(std::string_view& line) {
  const size_t open = line.rfind(" (");
  if (open == line.npos || !line.ends_with(" ms)")) {
    return std::nullopt;
  }
  uint64_t milliseconds = 0;
  const std::string_view number = line.substr(open + 2, line.size() - open - 6);
  const auto [rest, error] =
      std::from_chars(number.data(), number.data() + number.size(), milliseconds);
  if (error != std::errc() || rest != number.data() + number.size()) {
    return std::nullopt;
  }
  line = line.substr(0, open);
  return static_cast<double>(milliseconds) / 1000;
}

class GoogleTestReader {
 public:
  PrintedResults read(std::string_view output) {
    while (!output.empty()) {
      const std::string_view raw = next_line(output);
      const std::string line = raw.starts_with('\x1b') ? uncoloured(raw) : std::string();
      take(raw.starts_with('\x1b') ? std::string_view(line) : raw);
    }
    return std::move(results_);
  }

 private:
  void take(std::string_view line) {
    constexpr std::string_view kRun = "[ RUN      ] ", kPassed = "[       OK ] ",
                               kFailed = "[  FAILED  ] ", kSkipped = "[  SKIPPED ] ",
                               kAll = "[==========] Running ";
    if (line.starts_with(kRun)) {
      start(line.substr(kRun.size()));
    } else if (line.starts_with(kPassed) && end(line.substr(kPassed.size()), TestState::passed)) {
    } else if (line.starts_with(kFailed) && end(line.substr(kFailed.size()), TestState::failed)) {
    } else if (line.starts_with(kSkipped) &&
               end(line.substr(kSkipped.size()), TestState::skipped)) {
    } else if (line.starts_with(kAll)) {
      std::from_chars(line.data() + kAll.size(), line.data() + line.size(), results_.announced);
    } else if (open_) {
      std::string& words = results_.tests[*open_].words;
      if (words.size() + line.size() < kMostWords) {
        words.append(line).append("\n");
      }
    }
  }

  void start(std::string_view full_name) {
    const size_t dot = full_name.find('.');
    if (dot == full_name.npos || full_name.size() > kLongestName ||
        results_.tests.size() >= kMostTests) {
      return;
    }
    const auto [place, is_new] =
        by_name_.try_emplace(std::string(full_name), results_.tests.size());
    open_ = place->second;
    open_name_ = full_name;
    if (is_new) {
      PrintedTest& test = results_.tests.emplace_back();
      test.suite = full_name.substr(0, dot);
      test.name = full_name.substr(dot + 1);
      return;
    }
    PrintedTest& test = results_.tests[*open_];  // once more, by --gtest_repeat
    failed_before_ = test.state == TestState::failed;
    if (!failed_before_) {
      test.state = TestState::unfinished;
      test.words.clear();
    }
  }

  // Whether that is the end of the test that runs.
  bool end(std::string_view rest, TestState state) {
    const std::optional<double> seconds = take_time(rest);
    const bool is_it = open_ && rest.starts_with(open_name_) &&
                       (rest.size() == open_name_.size() ||
                        rest.substr(open_name_.size()).starts_with(", where "));
    if (!is_it) {
      return false;
    }
    PrintedTest& test = results_.tests[*open_];
    test.state = failed_before_ ? TestState::failed : state;
    test.seconds = seconds;
    open_.reset();
    failed_before_ = false;
    return true;
  }

  PrintedResults results_;
  std::map<std::string, size_t> by_name_;
  std::optional<size_t> open_;
  std::string open_name_;
  bool failed_before_ = false;
};

// The text between the quotes behind `words`; empty: they are not in the line.
std::string_view quoted_behind(std::string_view line, std::string_view words) {
  const size_t at = line.find(words);
  if (at == line.npos) {
    return {};
  }
  const size_t begin = at + words.size();
  return line.substr(begin, line.find('"', begin) - begin);
}

// file(9): Entering test case "is_saved"
// file(9): error: in "Score/is_saved": check ...
// file(9): Leaving test case "is_saved"; testing time: 84us
class BoostTestReader {
 public:
  PrintedResults read(std::string_view output) {
    while (!output.empty()) {
      const std::string line = uncoloured(next_line(output));
      take(line);
    }
    return std::move(results_);
  }

 private:
  void take(std::string_view line) {
    if (const auto suite = quoted_behind(line, ": Entering test suite \""); !suite.empty()) {
      suites_.emplace_back(suite);
    } else if (const auto left = quoted_behind(line, ": Leaving test suite \""); !left.empty()) {
      if (!suites_.empty() && suites_.back() == left) {
        suites_.pop_back();
      }
    } else if (const auto name = quoted_behind(line, ": Entering test case \""); !name.empty()) {
      start(name);
    } else if (open_) {
      take_of_case(line);
    }
  }

  void start(std::string_view name) {
    if (results_.tests.size() >= kMostTests || name.size() > kLongestName) {
      return;
    }
    PrintedTest& test = results_.tests.emplace_back();
    for (const std::string& suite : suites_) {
      test.suite += (test.suite.empty() ? "" : ".") + suite;
    }
    test.name = name;
    open_ = true;
    failed_ = false;
  }

  void take_of_case(std::string_view line) {
    PrintedTest& test = results_.tests.back();
    constexpr std::string_view kTime = "; testing time: ";
    if (quoted_behind(line, ": Leaving test case \"") == test.name) {
      test.state = failed_ ? TestState::failed : TestState::passed;
      if (const size_t at = line.rfind(kTime); at != line.npos && line.ends_with("us")) {
        test.seconds =
            std::strtod(std::string(line.substr(at + kTime.size())).c_str(), nullptr) / 1e6;
      }
      open_ = false;
      return;
    }
    failed_ = failed_ || line.find(": error: in \"") != line.npos ||
              line.find(": fatal error: in \"") != line.npos;
    if (test.words.size() + line.size() < kMostWords) {
      test.words.append(line).append("\n");
    }
  }

  PrintedResults results_;
  std::vector<std::string> suites_;
  bool open_ = false, failed_ = false;
};

constexpr std::pair<std::string_view, TestState> kPytestWords[] = {
    {"PASSED", TestState::passed}, {"XPASS", TestState::passed},    {"FAILED", TestState::failed},
    {"ERROR", TestState::failed},  {"SKIPPED", TestState::skipped}, {"XFAIL", TestState::skipped}};

// With -v, behind "collected 7 items":
//   tests/test_score.py::TestScore::test_is_saved[1] PASSED [ 16%]
// and with xdist, behind "scheduling tests via LoadScheduling":
//   tests/test_score.py::TestScore::test_is_saved[1]
//   [gw0] [ 16%] PASSED tests/test_score.py::TestScore::test_is_saved[1]
class PytestReader {
 public:
  PrintedResults read(std::string_view output) {
    bool began = false;
    while (!output.empty()) {
      const std::string line = uncoloured(next_line(output));
      if (line.starts_with("===") && began) {
        break;  // the results again, otherwise
      }
      if (began) {
        take(line);
      }
      began = began || line.starts_with("collecting ") || line.starts_with("collected ") ||
              line.starts_with("scheduling tests ");
    }
    return std::move(results_);
  }

 private:
  void take(std::string_view line) {
    TestState state = TestState::unfinished;
    if (line.starts_with("[gw")) {
      for (const auto& [word, meaning] : kPytestWords) {
        const std::string between = "%] " + std::string(word) + " ";
        if (const size_t at = line.find(between); at < sizeof "[gw1000] [100") {
          line.remove_prefix(at + between.size());
          state = meaning;
          break;
        }
      }
    } else {
      state = take_word(line);
    }
    add(line.substr(0, line.find(" Fatal Python error: ")), state);  // that is on stderr
  }

  // The result behind a test's name, taken off with what follows it.
  static TestState take_word(std::string_view& line) {
    for (const auto& [word, state] : kPytestWords) {
      const size_t at = line.rfind(" " + std::string(word));
      const size_t behind = at == line.npos ? at : at + 1 + word.size();
      if (at != line.npos && (behind == line.size() || line[behind] == ' ')) {
        line = line.substr(0, at);
        return state;
      }
    }
    return TestState::unfinished;
  }

  void add(std::string_view id, TestState state) {
    while (id.ends_with(' ')) {
      id.remove_suffix(1);
    }
    while (id.starts_with("../")) {
      id.remove_prefix(3);
    }
    const size_t file = id.find(".py::");
    const size_t last = id.substr(0, id.find('[')).rfind("::");
    if (file == id.npos || id.find(' ') < file || last == id.npos || last + 2 == id.size() ||
        id.size() > kLongestName || results_.tests.size() >= kMostTests) {
      return;
    }
    const auto [place, is_new] = by_id_.try_emplace(std::string(id), results_.tests.size());
    if (is_new) {
      PrintedTest& test = results_.tests.emplace_back();
      test.suite = id.substr(0, last);
      test.name = id.substr(last + 2);
    }
    results_.tests[place->second].state = state;
  }

  PrintedResults results_;
  std::map<std::string, size_t> by_id_;
};

}  // namespace

PrintedResults read_output(const std::string& framework, std::string_view output) {
  if (framework == "googletest") {
    return GoogleTestReader().read(output);
  }
  if (framework == "boost.test") {
    return BoostTestReader().read(output);
  }
  return framework == "pytest" ? PytestReader().read(output) : PrintedResults();
}

std::optional<std::string> output_in_ctest_log(std::string_view log, const std::string& test) {
  const std::string start = "\n\"" + test + "\" start time: ";
  const size_t found = log.rfind(start);
  if (found == log.npos) {
    return std::nullopt;
  }
  // two lines follow: "Output:" and a rule
  std::string_view rest = log.substr(found + start.size());
  next_line(rest);
  if (next_line(rest) != "Output:") {
    return std::nullopt;
  }
  next_line(rest);
  return std::string(rest.substr(0, rest.find("\n<end of output>\n")));
}

PrintedResults read_ctest_log(std::string_view log) {
  PrintedResults results;
  PrintedTest* open = nullptr;
  bool in_output = false, not_found = false;
  while (!log.empty()) {
    const std::string_view line = next_line(log);
    const size_t testing = line.find(" Testing: ");
    const size_t slash = line.find('/');
    if (in_output) {
      in_output = line != "<end of output>";
      if (in_output && open && open->words.size() + line.size() < kMostWords) {
        open->words.append(line).append("\n");
      }
    } else if (line == "Output:") {
      in_output = true;
      next_line(log);  // a rule
    } else if (testing != line.npos && slash < testing && results.tests.size() < kMostTests) {
      std::from_chars(line.data() + slash + 1, line.data() + testing, results.announced);
      open = &results.tests.emplace_back();
      not_found = false;
      open->name = line.substr(testing + std::string_view(" Testing: ").size());
    } else if (open && line == "Command: \"\"") {
      not_found = true;  // of such a test it says "Test Passed." in the end (3.25)
    } else if (open && line.starts_with("Test time =") && line.ends_with(" sec")) {
      open->seconds = std::strtod(std::string(line.substr(11)).c_str(), nullptr);
    } else if (open && line == "Test Passed.") {
      open->state = not_found ? TestState::skipped : TestState::passed;
      open->words += not_found ? "ctest did not find its program" : "";
    } else if (open && line == "Test Failed.") {
      open->state = TestState::failed;
    }
  }
  return results;
}

}  // namespace crashcrawler
