// Bazel names the target, "//score:score_test", and the filter of --test_filter; one target is a whole suite
// (https://bazel.build/reference/test-encyclopedia, "Initial conditions").
#include "runner/attribute/test_case/framework.h"

namespace crashcrawler {
namespace {

std::optional<Clue> from_environment(const std::vector<EnvironmentVariable>& environment) {
  const std::string* target = variable(environment, "TEST_TARGET");
  if (target == nullptr) {
    return std::nullopt;
  }
  Clue clue;
  clue.rank = Rank::build_target;
  clue.candidate = {*target, "environment TEST_TARGET"};
  clue.runner = "bazel";
  clue.runner_name = *target;
  return clue;
}

}  // namespace

const Framework kBazel{from_environment, nullptr, nullptr};

}  // namespace crashcrawler
