// pytest keeps "tests/test_score.py::TestScore::test_is_saved[1] (call)" in PYTEST_CURRENT_TEST, which children inherit
// (https://docs.pytest.org/en/stable/example/simple.html, "PYTEST_CURRENT_TEST environment variable"); workers of
// pytest-xdist, too. Its JUnit file has classname "tests.test_score.TestScore" and name "test_is_saved[1]" for it.
#include <algorithm>

#include "runner/attribute/test_case/framework.h"

namespace crashcrawler {
namespace {

std::string class_name(std::string path, std::string classes) {
  if (path.ends_with(".py")) {
    path.resize(path.size() - 3);
  }
  std::replace(path.begin(), path.end(), '/', '.');
  for (size_t at = classes.find("::"); at != std::string::npos; at = classes.find("::")) {
    classes.replace(at, 2, ".");
  }
  return classes.empty() ? path : path + "." + classes;
}

std::optional<Clue> from_environment(const std::vector<EnvironmentVariable>& environment) {
  const std::string* value = variable(environment, "PYTEST_CURRENT_TEST");
  if (value == nullptr) {
    return std::nullopt;
  }
  Clue clue;
  clue.rank = Rank::environment;
  clue.candidate = {*value, "environment PYTEST_CURRENT_TEST"};
  clue.framework = "pytest";
  std::string id = *value;
  if (const size_t phase = id.rfind(" ("); phase != std::string::npos && id.ends_with(")")) {
    id.resize(phase);
  }
  // parameters, which begin with the first bracket, may hold anything
  const size_t last = id.substr(0, id.find('[')).rfind("::");
  if (last == std::string::npos) {
    clue.name = id;
    return clue;
  }
  clue.name = id.substr(last + 2);
  const std::string before = id.substr(0, last);
  clue.file = before.substr(0, before.find("::"));
  clue.suite = class_name(
      clue.file, before.size() > clue.file.size() ? before.substr(clue.file.size() + 2) : "");
  return clue;
}

}  // namespace

const Framework kPytest{from_environment, nullptr, nullptr};

}  // namespace crashcrawler
