#include "runner/attribute/test_case/literal_name.h"

namespace crashcrawler {

Clue clue_of_literal(const StackFunction& function, SourceTexts& sources, IsWanted is_test_macro,
                     const std::string& framework) {
  const SourceLocation& location = *function.location;
  Clue clue;
  clue.framework = framework;
  const MacroCall call =
      macro_call_above(sources.lines(location.file), location.line, is_test_macro, false);
  // TEST_CASE("name", "[tag]"), TEST_CASE_METHOD(Class, "name")
  for (const std::string& argument : call.arguments) {
    if (clue.name = literal_text(argument); !clue.name.empty()) {
      break;
    }
  }
  if (!clue.name.empty() && call.name.find("SCENARIO") != std::string::npos) {
    clue.name = (framework == "doctest" ? "  Scenario: " : "Scenario: ") + clue.name;
  }
  clue.file = location.file;
  clue.line = call.name.empty() ? location.line : call.first_line;
  if (clue.name.empty() && !location.file.empty()) {
    clue.name =
        location.file.substr(location.file.rfind('/') + 1) + ":" + std::to_string(clue.line);
  }
  if (clue.name.empty()) {
    clue.name = function.name;
  }
  clue.candidate = {clue.name, "frame"};
  return clue;
}

}  // namespace crashcrawler
