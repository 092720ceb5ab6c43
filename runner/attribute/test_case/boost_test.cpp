// Boost.Test: BOOST_AUTO_TEST_CASE(is_saved) becomes struct is_saved with test_method(), suites are namespaces around it.
// Its JUnit file has classname "outer.inner" for suites, which is what is made here; --run_test has slashes.
// (boost/test/unit_test_suite.hpp, boost/test/impl/junit_log_formatter.ipp, 1.74)
#include <algorithm>

#include "runner/attribute/test_case/framework.h"

namespace crashcrawler {
namespace {

std::string with_dots(std::string path, std::string_view separator) {
  for (size_t at = path.find(separator); at != std::string::npos; at = path.find(separator)) {
    path.replace(at, separator.size(), ".");
  }
  return path;
}

void split(const std::string& path, Clue& clue) {
  const size_t dot = path.rfind('.');
  clue.framework = "boost.test";
  clue.suite = dot == std::string::npos ? "" : path.substr(0, dot);
  clue.name = path.substr(dot == std::string::npos ? 0 : dot + 1);
}

std::optional<Clue> from_arguments(const std::vector<std::string>& arguments) {
  std::string value;
  for (size_t i = 1; i < arguments.size(); ++i) {
    for (const std::string_view option : {"--run_test=", "-t="}) {
      if (arguments[i].starts_with(option)) {
        value = arguments[i].substr(option.size());
      }
    }
    if ((arguments[i] == "--run_test" || arguments[i] == "-t") && i + 1 < arguments.size() &&
        arguments[i] != "-t") {
      value = arguments[i + 1];
    }
  }
  if (value.empty() || value.find_first_of("*,:!@+ ") != std::string::npos) {
    return std::nullopt;
  }
  Clue clue;
  clue.rank = Rank::arguments;
  clue.candidate = {value, "argument --run_test"};
  split(with_dots(value, "/"), clue);
  return clue;
}

bool is_test_macro(std::string_view name) {
  return name.starts_with("BOOST_") && name.find("TEST_CASE") != std::string_view::npos;
}

std::optional<Clue> from_stack(const StackFunctions& functions, SourceTexts& sources) {
  for (const StackFunction& function : functions) {
    const size_t method = function.name.find("::test_method");
    if (method == std::string_view::npos) {
      continue;
    }
    Clue clue;
    split(with_dots(without_anonymous(function.name.substr(0, method)), "::"), clue);
    clue.candidate = {clue.suite.empty() ? clue.name : clue.suite + "." + clue.name, "frame"};
    const MacroCall call = macro_call_above(sources.lines(function.location->file),
                                            function.location->line, is_test_macro, false);
    if (!call.name.empty()) {
      clue.file = function.location->file;
      clue.line = call.first_line;
    }
    return clue;
  }
  return std::nullopt;
}

}  // namespace

const Framework kBoostTest{nullptr, from_arguments, from_stack};

}  // namespace crashcrawler
