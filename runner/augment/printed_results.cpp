// The lines are those of GoogleTest's PrettyUnitTestResultPrinter (googletest/src/gtest.cc) and of cmCTestRunTest.cxx.
// A test may print anything, lines like these too: so an end counts only for the test that has begun and not ended,
// and the footer's list of failed tests is none.
#include "runner/augment/printed_results.h"

#include <charconv>
#include <cstdlib>
#include <map>

namespace crashcrawler {
namespace {

constexpr size_t kMostWords = 32768;
constexpr size_t kMostTests = 100'000;
constexpr size_t kLongestName = 4096;

std::string_view next_line(std::string_view& text) {
  const size_t end = text.find('\n');
  std::string_view line = text.substr(0, end);
  text.remove_prefix(end == text.npos ? text.size() : end + 1);
  if (line.ends_with('\r')) {
    line.remove_suffix(1);
  }
  return line;
}

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

class Reader {
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

}  // namespace

PrintedResults read_googletest_output(std::string_view output) {
  return Reader().read(output);
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
  bool in_output = false;
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
      open->name = line.substr(testing + std::string_view(" Testing: ").size());
    } else if (open && line.starts_with("Test time =") && line.ends_with(" sec")) {
      open->seconds = std::strtod(std::string(line.substr(11)).c_str(), nullptr);
    } else if (open && line == "Test Passed.") {
      open->state = TestState::passed;
    } else if (open && line == "Test Failed.") {
      open->state = TestState::failed;
    }
  }
  return results;
}

}  // namespace crashcrawler
