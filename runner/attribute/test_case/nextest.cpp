// cargo-nextest starts a process per test and names it in its environment
// (https://nexte.st/docs/configuration/env-vars/).
#include "runner/attribute/test_case/framework.h"

namespace crashcrawler {
namespace {

std::optional<Clue> from_environment(const std::vector<EnvironmentVariable>& environment) {
  const std::string* name = variable(environment, "NEXTEST_TEST_NAME");
  if (name == nullptr) {
    return std::nullopt;
  }
  const std::string* binary = variable(environment, "NEXTEST_BINARY_ID");
  Clue clue;
  clue.rank = Rank::environment;
  clue.candidate = {*name, "environment NEXTEST_TEST_NAME"};
  clue.framework = "rust";
  clue.name = *name;
  clue.suite = binary != nullptr ? *binary : "";
  clue.runner = "nextest";
  clue.runner_name = *name;
  return clue;
}

}  // namespace

const Framework kNextest{from_environment, nullptr, nullptr};

}  // namespace crashcrawler
