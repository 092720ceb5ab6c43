#include "runner/launch/only_test.h"

#include <sys/stat.h>

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <set>
#include <string_view>
#include <vector>

#include "runner/base/file.h"

namespace crashcrawler {
namespace {

constexpr size_t kLargestProgram = size_t{512} << 20;

std::string base_name_of(const std::string& path) {
  return std::filesystem::path(path).filename();
}

// cmake-language's regular expressions (string(REGEX), "Regex Specification").
std::string quoted_for_cmake(const std::string& test) {
  constexpr std::string_view kSpecial = "\\^$.[]-*+?|()";
  std::string quoted;
  for (const char letter : test) {
    if (letter != '-' && kSpecial.find(letter) != std::string_view::npos) {
      quoted += '\\';
    }
    quoted += letter;
  }
  return quoted;
}

// pytest, py.test, pytest-3, or python -m pytest.
bool is_pytest(const Command& command) {
  const std::string program = base_name_of(command.arguments.front());
  if (program == "pytest" || program == "py.test" || program == "pytest-3") {
    return true;
  }
  if (!program.starts_with("python")) {
    return false;
  }
  const auto module = std::ranges::find(command.arguments, "-m");
  return module != command.arguments.end() && module + 1 != command.arguments.end() &&
         *(module + 1) == "pytest";
}

// Options of pytest (and its most common plugins) that take the next word, which may be the name of a file.
bool takes_a_word(const std::string& option) {
  static const std::set<std::string> kOptions = {
      "-c",        "-k",           "-m",         "-n",       "-o",         "-p",         "-W",
      "--rootdir", "--confcutdir", "--basetemp", "--ignore", "--junitxml", "--junit-xml"};
  return kOptions.contains(option);
}

void run_only_node(const std::string& node, Command& command) {
  std::vector<std::string> kept;
  for (const std::string& word : command.arguments) {
    const bool is_place = !kept.empty() && !word.starts_with("-") && !takes_a_word(kept.back()) &&
                          std::filesystem::exists(word.substr(0, word.find("::")));
    if (!is_place) {
      kept.push_back(word);
    }
  }
  kept.push_back(node);
  command.arguments = std::move(kept);
}

// Its options are in the program itself, or in the library that it names.
bool is_googletest(const std::string& executable) {
  struct stat status {};
  if (::stat(executable.c_str(), &status) != 0 || !S_ISREG(status.st_mode)) {
    return false;
  }
  const Result<std::string> bytes = read_file(executable, kLargestProgram);
  return bytes &&
         bytes->starts_with(
             "\x7f"
             "ELF") &&
         (bytes->find("gtest_list_tests") != std::string::npos ||
          bytes->find("libgtest.so") != std::string::npos);
}

}  // namespace

Result<void> run_only(const std::string& test, const std::string& executable, Command& command) {
  const auto refuse = [&](const std::string& why) { return Error{"--only " + test + ": " + why}; };
  if (base_name_of(command.arguments.front()) == "ctest") {
    command.arguments.insert(command.arguments.end(), {"-R", "^" + quoted_for_cmake(test) + "$"});
    return {};
  }
  if (is_pytest(command)) {
    if (test.find("::") != std::string::npos) {
      run_only_node(test, command);
      return {};
    }
    if (!std::ranges::all_of(test, [](unsigned char c) { return std::isalnum(c) || c == '_'; })) {
      return refuse("pytest's -k takes a plain name; write FILE::TEST for any other");
    }
    command.arguments.insert(command.arguments.end(), {"-k", test});
    return {};
  }
  if (is_googletest(executable)) {
    if (test.find_first_of(":*?-") != std::string::npos) {
      return refuse("a GoogleTest filter would take this for more than one test");
    }
    command.arguments.push_back("--gtest_filter=" + test);
    return {};
  }
  return refuse(
      "the command " + command.arguments.front() +
      " is neither ctest, nor pytest, nor a GoogleTest program; give it the option of its "
      "own that selects a test");
}

}  // namespace crashcrawler
