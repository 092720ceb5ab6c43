// Which words make a framework list its tests, and which of the program's own must go because they would write or change
// something: GoogleTest's docs/advanced.md (--gtest_list_tests keeps to --gtest_filter, not to shards, and writes the list
// into the file of --gtest_output); Catch2's docs/command-line.md (version 2; the exit status is the number of tests, 3 does
// not know the option); doctest's commandline.md; Boost.Test's --list_content, which writes to stderr and does not keep to
// --run_test; pytest's --collect-only, which is quiet once for each -q that no -v takes back.
#include "runner/attribute/test_case/listed_tests.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <string_view>

#include "runner/attribute/bounded_command.h"
#include "runner/attribute/test_case/framework.h"
#include "runner/base/nanoseconds.h"
#include "runner/base/next_line.h"

namespace crashcrawler {
namespace {

constexpr size_t kMostTests = 100'000;
constexpr size_t kLongestList = size_t{8} << 20;
// The folder is the first argument. Boost.Test answers on stderr; of Catch2 the status is a number of tests.
constexpr const char* kScript = R"(cd "$1" && shift && "$@"; true)";
constexpr const char* kScriptWithErrors = R"(cd "$1" && shift && "$@" 2>&1; true)";

using Words = std::vector<std::string>;

struct Option {
  std::string_view name;
  bool takes_word;  // the next one, when it has no '='
};

struct Asking {
  std::string_view framework;
  std::vector<Option> dropped;     // options of a run
  std::vector<Option> impossible;  // whose effect the list does not show
  Words added;
};

const Asking* asking_of(const std::string& framework) {
  static const std::vector<Asking> kAll = {
      {"googletest",
       {{"--gtest_output", false}, {"--gtest_repeat", false}},
       {{"--gtest_shuffle", false}},
       {"--gtest_list_tests"}},
      {"catch2",
       {{"-r", true}, {"--reporter", true}, {"-o", true}, {"--out", true}},
       {{"--order", true}},
       {"--list-test-names-only"}},
      {"doctest",
       {{"-r", false},
        {"--reporters", false},
        {"-o", false},
        {"--out", false},
        {"-dt-r", false},
        {"--dt-reporters", false},
        {"-dt-o", false},
        {"--dt-out", false},
        {"-reporters", false},
        {"-dt-reporters", false},
        {"-out", false},
        {"-dt-out", false}},
       {{"-ob", false}, {"--order-by", false}},
       {"--list-test-cases", "-r=xml"}},
      {"boost.test",
       {{"--logger", true},
        {"--log_sink", true},
        {"-k", true},
        {"--log_format", true},
        {"-f", true},
        {"--report_sink", true},
        {"-e", true}},
       {{"--run_test", true}, {"-t", true}, {"--random", false}},
       {"--list_content=HRF"}},
      {"pytest",
       {{"--junitxml", true}, {"--junit-xml", true}},
       {},
       {"--collect-only", "-q", "-p", "no:cacheprovider"}},
  };
  const auto found = std::ranges::find(kAll, framework, &Asking::framework);
  return found == kAll.end() ? nullptr : &*found;
}

const Option* option_at(const std::string& word, const std::vector<Option>& options) {
  const auto found = std::ranges::find_if(options, [&](const Option& option) {
    return word == option.name ||
           (word.starts_with(option.name) && word[option.name.size()] == '=');
  });
  return found == options.end() ? nullptr : &*found;
}

// By the environment; GTEST_SHUFFLE is not kept of the dead, so ours is looked at, which it had unless somebody between
// changed it.
bool is_other_by_environment(const CrashReport& crash) {
  const char* shuffled = std::getenv("GTEST_SHUFFLE");
  return (shuffled != nullptr && std::string_view(shuffled) != "0") ||
         variable(crash.raw.environment, "GTEST_TOTAL_SHARDS") != nullptr ||
         variable(crash.raw.environment, "TEST_TOTAL_SHARDS") != nullptr ||
         variable(crash.raw.environment, "BOOST_TEST_RUN_FILTERS") != nullptr;
}

std::string program_of(const CrashReport& crash) {
  // an interpreter finds its modules by the name that it was called by
  const std::string& called = crash.raw.arguments.front();
  return crash.test.framework == "pytest" &&
                 (called.starts_with('/') || called.find('/') == called.npos)
             ? called
             : crash.raw.executable;
}

// Whether the program is there for us as it was for the dead process.
Result<void> is_the_same(const RawCrash& raw) {
  struct stat here {
  }, program{};
  if (raw.uid != ::getuid() || raw.effective_uid != ::geteuid()) {
    return Error{"it belonged to another user"};
  }
  // of a process that was looked at while it lived, paths are as we see them
  if ((!raw.root_directory.empty() && raw.root_directory != "/") ||
      (raw.mount_namespace != 0 &&
       (::stat("/proc/self/ns/mnt", &here) != 0 || here.st_ino != raw.mount_namespace))) {
    return Error{"it saw other files than we do"};
  }
  const auto mapping = std::ranges::find(raw.mappings, raw.executable, &Mapping::path);
  const bool is_there = ::stat(raw.executable.c_str(), &program) == 0;
  const int64_t modified = nanoseconds(program.st_mtim);
  // one that was put there after the death may have been looked at in its place, and have got its inode's number
  const int64_t death = nanoseconds(raw.time);
  const bool is_younger = death != 0 && nanoseconds(program.st_ctim) > death;
  const auto is_another = [&](const Mapping& mapped) {  // an inode's number may come back
    return mapped.deleted || mapped.inode != program.st_ino ||
           (mapped.modified_ns != 0 && mapped.modified_ns != modified);
  };
  if (!is_there || is_younger || (mapping != raw.mappings.end() && is_another(*mapping))) {
    return Error{"its file has been replaced"};
  }
  return {};
}

// Ours, with what is known of the dead process's; nothing that names a file or a shard.
Words environment_for(const CrashReport& crash) {
  const auto is_wanted = [](std::string_view text) {
    constexpr std::string_view kNot[] = {"GTEST_OUTPUT=", "XML_OUTPUT_FILE=",     "GTEST_REPEAT=",
                                         "BOOST_TEST_",   "PYTEST_CURRENT_TEST=", "PATH="};
    return std::ranges::none_of(
        kNot, [&](std::string_view not_this) { return text.starts_with(not_this); });
  };
  Words words{"PYTHONDONTWRITEBYTECODE=1"};
  for (const EnvironmentVariable& one : crash.raw.environment) {
    if (std::string word = one.name + "=" + one.value; is_wanted(word)) {
      words.push_back(std::move(word));
    }
  }
  for (char** one = environ; one != nullptr && *one != nullptr; ++one) {
    const std::string_view word = *one;
    const std::string_view name = word.substr(0, word.find('='));
    if (is_wanted(word) && variable(crash.raw.environment, name) == nullptr) {
      words.emplace_back(word);
    }
  }
  return words;
}

// --- what they answer ------------------------------------------------------------------------------------------------

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty() && lines.size() < kMostTests) {
    lines.push_back(next_line(text));
  }
  return lines;
}

bool is_disabled(std::string_view name) {
  return name.starts_with("DISABLED_") || name.find("/DISABLED_") != name.npos;
}

// "Suite.", then "  name  # GetParam() = 1" for each of its tests.
std::vector<TestName> googletest_list(const std::vector<std::string_view>& lines) {
  std::vector<TestName> tests;
  std::string suite;
  for (std::string_view line : lines) {
    line = line.substr(0, line.find("  # "));
    if (line.starts_with("  ") && !suite.empty()) {
      tests.push_back({suite, std::string(line.substr(2)), ""});
    } else {
      const bool is_suite = line.size() > 1 && line.ends_with('.') && line.find(' ') == line.npos;
      suite = is_suite ? line.substr(0, line.size() - 1) : "";
    }
  }
  return tests;
}

std::vector<TestName> catch2_list(const std::vector<std::string_view>& lines) {
  std::vector<TestName> tests;
  for (std::string_view line : lines) {
    if (line.starts_with("\"#") && line.ends_with('"')) {
      line = line.substr(1, line.size() - 2);
    }
    if (!line.empty()) {
      tests.push_back({"", std::string(line), ""});
    }
  }
  return tests;
}

// The value of an attribute in a line of XML; empty: there is none.
std::string attribute(std::string_view line, std::string_view name) {
  const std::string start = " " + std::string(name) + "=\"";
  const size_t at = line.find(start);
  if (at == line.npos) {
    return "";
  }
  std::string_view rest = line.substr(at + start.size());
  rest = rest.substr(0, rest.find('"'));
  constexpr std::pair<std::string_view, char> kEntities[] = {
      {"&lt;", '<'}, {"&gt;", '>'}, {"&quot;", '"'}, {"&apos;", '\''}, {"&amp;", '&'}};
  std::string value;
  while (!rest.empty()) {
    const auto entity = std::ranges::find_if(
        kEntities, [&](const auto& one) { return rest.starts_with(one.first); });
    const bool found = entity != std::end(kEntities);
    value += found ? entity->second : rest.front();
    rest.remove_prefix(found ? entity->first.size() : 1);
  }
  return value;
}

// <TestCase name="score is saved" filename="score_test.cpp" line="19" skipped="false"/>, each on a line
std::vector<TestName> doctest_list(const std::vector<std::string_view>& lines) {
  std::vector<TestName> tests;
  for (const std::string_view line : lines) {
    if (line.starts_with("  <TestCase ") && attribute(line, "skipped") != "true") {
      tests.push_back({"", attribute(line, "name"), attribute(line, "filename")});
    }
  }
  return tests;
}

// A tree, four spaces to the level; a star is on what would run, a description behind a colon.
std::vector<TestName> boost_list(const std::vector<std::string_view>& lines) {
  std::vector<TestName> tests;
  std::vector<std::pair<std::string, bool>> path;  // names, and whether they are enabled
  const auto level_of = [](std::string_view line) { return line.find_first_not_of(' ') / 4; };
  for (size_t i = 0; i < lines.size(); ++i) {
    const std::string_view line = lines[i];
    const size_t begin = line.find_first_not_of(' ');
    if (begin == line.npos || begin % 4 != 0 || begin / 4 > path.size()) {
      continue;
    }
    path.resize(begin / 4);
    std::string_view name = line.substr(begin, line.find(": ") - begin);
    const bool enabled = name.ends_with('*');
    name.remove_suffix(enabled ? 1 : 0);
    const bool has_children = i + 1 < lines.size() && !lines[i + 1].empty() &&
                              lines[i + 1].find_first_not_of(' ') != std::string_view::npos &&
                              level_of(lines[i + 1]) > path.size();
    if (has_children) {
      path.emplace_back(name, enabled);
    } else if (enabled) {
      TestName& test = tests.emplace_back();
      test.name = name;
      for (const auto& [suite, _] : path) {
        test.suite += (test.suite.empty() ? "" : ".") + suite;
      }
    }
  }
  return tests;
}

// "folder/test_score.py::TestScore::test_is_saved[1]", up to an empty line.
std::vector<TestName> pytest_list(const std::vector<std::string_view>& lines) {
  std::vector<TestName> tests;
  for (const std::string_view line : lines) {
    if (line.empty()) {
      break;
    }
    const std::vector<EnvironmentVariable> as_at_death = {
        {"PYTEST_CURRENT_TEST", std::string(line)}};
    const std::optional<Clue> clue = kPytest.from_environment(as_at_death);
    if (clue && !clue->suite.empty()) {
      tests.push_back({clue->suite, clue->name, ""});
    }
  }
  return tests;
}

}  // namespace

TestListQuestion question_for_list(const CrashReport& crash) {
  const Asking* asking = asking_of(crash.test.framework);
  const Words& words = crash.raw.arguments;
  if (asking == nullptr || words.empty() || is_other_by_environment(crash)) {
    return {};
  }
  TestListQuestion question{{program_of(crash)}};
  int verbose = 0;
  for (size_t i = 1; i < words.size(); ++i) {
    if (option_at(words[i], asking->impossible) != nullptr) {
      return {};
    }
    if (const Option* option = option_at(words[i], asking->dropped)) {
      i += option->takes_word && words[i] == option->name ? 1 : 0;
      continue;
    }
    if (words[i].starts_with("-v") && words[i].find_first_not_of('v', 1) == std::string::npos) {
      verbose += static_cast<int>(words[i].size()) - 1;
    }
    question.arguments.push_back(words[i]);
  }
  question.arguments.insert(question.arguments.end(), asking->added.begin(), asking->added.end());
  if (asking->framework == "pytest") {
    question.arguments.insert(question.arguments.end(), static_cast<size_t>(verbose), "-q");
  }
  return question;
}

std::vector<TestName> parse_test_list(const std::string& framework, const std::string& output) {
  const std::vector<std::string_view> lines = lines_of(output);
  if (framework == "googletest") {
    return googletest_list(lines);
  }
  if (framework == "catch2") {
    return catch2_list(lines);
  }
  if (framework == "doctest") {
    return doctest_list(lines);
  }
  return framework == "boost.test" ? boost_list(lines)
         : framework == "pytest"   ? pytest_list(lines)
                                   : std::vector<TestName>();
}

Result<std::vector<TestName>> list_tests(const CrashReport& crash,
                                         std::chrono::milliseconds longest) {
  const TestListQuestion question = question_for_list(crash);
  if (question.arguments.empty()) {
    return std::vector<TestName>();
  }
  if (const Result<void> same = is_the_same(crash.raw); !same) {
    return same.error();
  }
  const std::string& framework = crash.test.framework;
  Words command{"/bin/sh", "-c", framework == "boost.test" ? kScriptWithErrors : kScript, "sh",
                crash.raw.working_directory};
  command.insert(command.end(), question.arguments.begin(), question.arguments.end());
  const Result<std::string> output =
      output_of_command(command, environment_for(crash), {longest, kLongestList});
  if (!output) {
    return output.error();
  }
  std::vector<TestName> tests = parse_test_list(framework, *output);
  if (framework == "googletest" &&
      std::ranges::find(question.arguments, "--gtest_also_run_disabled_tests") ==
          question.arguments.end()) {
    std::erase_if(tests, [](const TestName& test) {
      return is_disabled(test.suite) || is_disabled(test.name);
    });
  }
  if (tests.empty()) {
    return Error{"it names none"};
  }
  return tests;
}

}  // namespace crashcrawler
