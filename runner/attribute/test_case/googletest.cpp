// GoogleTest: TEST(Suite, Name) becomes the class Suite_Name_Test, whose TestBody() is the test. Where a name has "_" in it,
// which is discouraged and done, the class does not say where the suite ends: the source does, in the nearest macro above
// whose two words make the class; without it the first "_" is taken. TYPED_TEST makes the class a template, TYPED_TEST_P
// is gtest_suite_Suite_::Name<T>. Which parameter or type it was, "Inst/Suite.Name/2", no frame says: the filter, or the
// output, does. (googletest/include/gtest/internal/gtest-internal.h and gtest-typed-test.h, 1.8 to 1.14)
#include <algorithm>

#include "runner/attribute/test_case/framework.h"

namespace crashcrawler {
namespace {

bool split_full_name(const std::string& full, Clue& clue) {
  const size_t dot = full.find('.');
  const bool is_one = dot != std::string::npos && dot > 0 && dot + 1 < full.size() &&
                      full.find_first_of("*?:-") == std::string::npos;
  if (is_one) {
    clue.framework = "googletest";
    clue.suite = full.substr(0, dot);
    clue.name = full.substr(dot + 1);
  }
  return is_one;
}

std::optional<Clue> from_environment(const std::vector<EnvironmentVariable>& environment) {
  const std::string* filter = variable(environment, "GTEST_FILTER");
  Clue clue;
  if (filter == nullptr || !split_full_name(*filter, clue)) {
    return std::nullopt;
  }
  clue.rank = Rank::arguments;
  clue.candidate = {*filter, "environment GTEST_FILTER"};
  return clue;
}

// The last one counts.
std::optional<Clue> from_arguments(const std::vector<std::string>& arguments) {
  for (size_t i = arguments.size(); i-- > 1;) {
    for (const std::string_view option : {"--gtest_filter=", "-gtest_filter="}) {
      if (arguments[i].starts_with(option)) {
        Clue clue;
        clue.rank = Rank::arguments;
        clue.candidate = {arguments[i].substr(option.size()), "argument --gtest_filter"};
        return split_full_name(clue.candidate.name, clue) ? std::optional(clue) : std::nullopt;
      }
    }
  }
  return std::nullopt;
}

bool is_test_macro(std::string_view name) {
  return name.find("TEST") != std::string_view::npos;
}

// "Suite_Name" of a class, and where its code is: fills suite, name, file and line.
void find_in_source(const std::string& joined, const SourceLocation& location, SourceTexts& sources,
                    Clue& clue) {
  const std::vector<std::string>& lines = sources.lines(location.file);
  int line = location.line;
  while (line > 0) {
    const MacroCall call = macro_call_above(lines, line, is_test_macro, false);
    if (call.name.empty()) {
      return;
    }
    if (call.arguments.size() == 2 && call.arguments[0] + "_" + call.arguments[1] == joined) {
      clue.suite = call.arguments[0];
      clue.name = call.arguments[1];
      clue.file = location.file;
      clue.line = call.first_line;
      return;
    }
    line = call.first_line - 1;
  }
}

// What stands before the template arguments that end `name`.
std::string_view without_arguments(std::string_view name) {
  if (!name.ends_with(">")) {
    return name;
  }
  int depth = 0;
  for (size_t i = name.size(); i-- > 0;) {
    depth += name[i] == '>' ? 1 : 0;
    depth -= name[i] == '<' ? 1 : 0;
    if (depth == 0) {
      return name.substr(0, i);
    }
  }
  return name;
}

std::optional<Clue> test_of(const StackFunction& function, SourceTexts& sources) {
  // A function within the test, a lambda, has the test's name in its own: "X_Test::TestBody()::{lambda()#1}::..."
  const size_t body = function.name.find("::TestBody()");
  if (body == std::string_view::npos) {
    return std::nullopt;
  }
  const std::string plain = without_anonymous(function.name.substr(0, body));
  const std::string_view full = without_arguments(plain);
  const size_t scope = full.rfind("::");
  const std::string name(scope == std::string_view::npos ? full : full.substr(scope + 2));
  const std::string_view around = scope == std::string_view::npos ? "" : full.substr(0, scope);

  Clue clue;
  clue.framework = "googletest";
  const size_t pattern = around.rfind("gtest_suite_");
  if (pattern != std::string_view::npos && around.ends_with("_")) {
    const std::string_view suite = around.substr(pattern + 12);
    clue.suite = suite.substr(0, suite.size() - 1);
    clue.name = name;
    find_in_source(clue.suite + "_" + clue.name, *function.location, sources, clue);
  } else if (name.ends_with("_Test")) {
    const std::string joined = name.substr(0, name.size() - 5);
    const size_t separator = joined.find('_', 1);
    if (separator == std::string::npos) {
      return std::nullopt;
    }
    clue.suite = joined.substr(0, separator);
    clue.name = joined.substr(separator + 1);
    find_in_source(joined, *function.location, sources, clue);
  } else {
    return std::nullopt;
  }
  clue.candidate = {clue.suite + "." + clue.name, "frame"};
  return clue;
}

std::optional<Clue> from_stack(const StackFunctions& functions, SourceTexts& sources) {
  for (const StackFunction& function : functions) {
    if (std::optional<Clue> clue = test_of(function, sources)) {
      return clue;
    }
  }
  return std::nullopt;
}

}  // namespace

const Framework kGoogleTest{from_environment, from_arguments, from_stack};

}  // namespace crashcrawler
