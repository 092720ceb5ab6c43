// doctest: TEST_CASE("name") is a function DOCTEST_ANON_FUNC_15 (2.4.7 and newer; before, _DOCTEST_ANON_FUNC_15), f() of a
// class DOCTEST_ANON_CLASS_15 with a fixture, DOCTEST_ANON_TMP_15 for templates. (doctest.h)
#include "runner/attribute/test_case/literal_name.h"

namespace crashcrawler {
namespace {

bool is_test_macro(std::string_view name) {
  if (name.starts_with("DOCTEST_")) {
    name.remove_prefix(8);
  }
  return name.starts_with("TEST_CASE") || name.starts_with("SCENARIO");
}

std::optional<Clue> from_arguments(const std::vector<std::string>& arguments) {
  for (const std::string& argument : arguments) {
    for (const std::string_view option :
         {"--test-case=", "-tc=", "--dt-test-case=", "--dt-tc=", "-test-case="}) {
      const bool one = argument.starts_with(option) &&
                       argument.find_first_of("*,", option.size()) == std::string::npos;
      if (one && argument.size() > option.size()) {
        Clue clue;
        clue.rank = Rank::arguments;
        clue.framework = "doctest";
        clue.name = argument.substr(option.size());
        clue.candidate = {clue.name, "argument --test-case"};
        return clue;
      }
    }
  }
  return std::nullopt;
}

std::optional<Clue> from_stack(const StackFunctions& functions, SourceTexts& sources) {
  for (const StackFunction& function : functions) {
    for (const std::string_view prefix :
         {"DOCTEST_ANON_FUNC_", "DOCTEST_ANON_CLASS_", "DOCTEST_ANON_TMP_"}) {
      if (function.name.find(prefix) != std::string_view::npos) {
        return clue_of_literal(function, sources, is_test_macro, "doctest");
      }
    }
  }
  return std::nullopt;
}

}  // namespace

const Framework kDoctest{nullptr, from_arguments, from_stack};

}  // namespace crashcrawler
