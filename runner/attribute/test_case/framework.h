// What a test framework or runner shows of the test that was running. One file per framework beside this one, which
// ends in a Framework; find_tests.cpp has the list.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runner/base/source_text.h"
#include "runner/model/crash_report.h"

namespace crashcrawler {

// How much a source is believed, most first.
enum class Rank { environment, arguments, runner, stack, output, build_target, executable };

// What one source says.
struct Clue {
  Rank rank = Rank::stack;
  TestCandidate candidate;  // for the report
  // Of a test of the framework; name empty: it says what the runner calls it, which may be a whole suite.
  std::string framework, suite, name;
  std::string file;  // where the test is defined; empty: not known
  int line = 0;
  std::string runner, runner_name;  // empty: it says nothing of a runner
};

// A function on a stack, inlined ones are functions of their own. Valid as long as the report.
struct StackFunction {
  std::string_view name;  // demangled; may be empty
  const SourceLocation* location = nullptr;
};

using StackFunctions = std::vector<StackFunction>;  // of one thread, top first

// The value of a variable at death; nullptr: not set, or not kept.
const std::string* variable(const std::vector<EnvironmentVariable>& environment,
                            std::string_view name);

// `name` without its namespaces "(anonymous namespace)::", which say nothing of the test.
std::string without_anonymous(std::string_view name);

struct Framework {
  std::optional<Clue> (*from_environment)(const std::vector<EnvironmentVariable>&) = nullptr;
  std::optional<Clue> (*from_arguments)(const std::vector<std::string>&) = nullptr;
  std::optional<Clue> (*from_stack)(const StackFunctions&, SourceTexts&) = nullptr;
};

extern const Framework kNamedByUser, kNextest, kPytest, kBazel, kGoogleTest, kBoostTest, kCatch2,
    kDoctest, kRustTest, kGoTest;

}  // namespace crashcrawler
