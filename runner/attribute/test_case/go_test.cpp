// Go: testing.tRunner calls TestXxx of the package; of a subtest the function is TestXxx.func1, and its name is data.
// (src/testing/testing.go, 1.19)
#include <algorithm>

#include "runner/attribute/test_case/framework.h"

namespace crashcrawler {
namespace {

bool is_word(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_';
}

// "^TestIsSaved$" is one test, "TestIs" may be many.
std::optional<Clue> from_arguments(const std::vector<std::string>& arguments) {
  for (const std::string& argument : arguments) {
    constexpr std::string_view kBegin = "-test.run=^Test";
    if (!argument.starts_with(kBegin) || !argument.ends_with("$")) {
      continue;
    }
    const std::string name = argument.substr(11, argument.size() - 12);
    if (std::ranges::all_of(name, is_word)) {
      Clue clue;
      clue.rank = Rank::arguments;
      clue.candidate = {name, "argument -test.run"};
      clue.framework = "go";
      clue.name = name;
      return clue;
    }
  }
  return std::nullopt;
}

std::optional<Clue> from_stack(const StackFunctions& functions, SourceTexts&) {
  for (size_t i = 1; i < functions.size(); ++i) {
    if (functions[i].name != "testing.tRunner") {
      continue;
    }
    const std::string function(functions[i - 1].name);
    const size_t slash = function.rfind('/');
    const size_t dot = function.find('.', slash == std::string::npos ? 0 : slash);
    if (dot == std::string::npos) {
      return std::nullopt;
    }
    Clue clue;
    clue.framework = "go";
    clue.suite = function.substr(0, dot);
    clue.name = function.substr(dot + 1);
    clue.name.resize(std::min(clue.name.find(".func"), clue.name.size()));
    clue.candidate = {function, "frame"};
    return clue;
  }
  return std::nullopt;
}

}  // namespace

const Framework kGoTest{nullptr, from_arguments, from_stack};

}  // namespace crashcrawler
