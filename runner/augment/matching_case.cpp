// GoogleTest: classname "Inst/Suite", name "Test/0". Catch2: "program.global" or "program.tag", the test case's name,
// with sections behind a slash. doctest: the source file, the name. Boost.Test: suites joined by dots, the name.
// pytest: "folder.module.Class", the function. ctest: its own name for both.
#include "runner/augment/matching_case.h"

#include <algorithm>
#include <functional>

namespace crashcrawler {
namespace {

// "tests/test_score.py::TestLater" and "tests.test_score.TestLater" are one.
std::string dotted(std::string text) {
  for (const auto& [from, to] :
       {std::pair(".py::", "."), std::pair("::", "."), std::pair("/", ".")}) {
    for (size_t at = text.find(from); at != text.npos; at = text.find(from, at + 1)) {
      text.replace(at, std::string_view(from).size(), to);
    }
  }
  if (text.ends_with(".py")) {
    text.resize(text.size() - 3);
  }
  return text;
}

bool is_end_of(const std::string& end, const std::string& whole) {
  return whole == end || (whole.size() > end.size() && whole.ends_with(end) &&
                          whole[whole.size() - end.size() - 1] == '.');
}

}  // namespace

std::vector<size_t> matching_cases(const JunitDocument& document, const TestCase& test,
                                   bool of_ctest) {
  using Rule = std::function<bool(const JunitCase&)>;
  const bool name_alone = test.suite.empty() || test.framework == "catch2" ||
                          test.framework == "doctest" || test.framework == "boost.test";
  const std::string suite = dotted(test.suite), name = dotted(test.name);
  const std::vector<Rule> framework_rules = {
      [&](const JunitCase& c) { return c.classname == test.suite && c.name == test.name; },
      [&](const JunitCase& c) {
        const std::string classname = dotted(c.classname);
        return dotted(c.name) == name && !suite.empty() &&
               (is_end_of(suite, classname) || is_end_of(classname, suite));
      },
      [&](const JunitCase& c) { return !suite.empty() && dotted(c.name) == suite + "." + name; },
      [&](const JunitCase& c) { return name_alone && c.name == test.name; },
      [&](const JunitCase& c) {
        return test.framework == "catch2" && c.name.starts_with(test.name + "/");
      },
  };
  std::vector<Rule> rules;
  if (!of_ctest && !test.name.empty()) {
    rules = framework_rules;
  }
  if (!test.runner_name.empty()) {
    rules.push_back([&](const JunitCase& c) { return c.name == test.runner_name; });
  }
  std::vector<size_t> found;
  for (const Rule& rule : rules) {
    for (size_t i = 0; i < document.cases.size(); ++i) {
      if (rule(document.cases[i])) {
        found.push_back(i);
      }
    }
    if (!found.empty()) {
      break;
    }
  }
  return found;
}

bool is_same_suite(const std::string& a, const std::string& b) {
  const std::string one = dotted(a), other = dotted(b);
  return one == other ||
         (!one.empty() && !other.empty() && (is_end_of(one, other) || is_end_of(other, one)));
}

std::string classname_of(const TestCase& test, const std::string& program) {
  if (test.framework == "catch2") {
    return program + ".global";
  }
  if (test.framework == "doctest" && !test.file.empty()) {
    return test.file;
  }
  if (test.suite.empty()) {
    return program;
  }
  return test.framework == "googletest" ? test.suite : dotted(test.suite);
}

}  // namespace crashcrawler
