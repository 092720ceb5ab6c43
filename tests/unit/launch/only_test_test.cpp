#include "runner/launch/only_test.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace crashcrawler {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::vector<std::string> only(const std::string& test, std::vector<std::string> arguments,
                              const std::string& executable = "/bin/true") {
  Command command{std::move(arguments), "/"};
  const Result<void> done = run_only(test, executable, command);
  return done ? command.arguments : std::vector<std::string>{done.error().message};
}

TEST(Only, QuotesForCtest) {
  EXPECT_THAT(only("a.b+c[1]/$x", {"/usr/bin/ctest", "-j4"}),
              ElementsAre("/usr/bin/ctest", "-j4", "-R", "^a\\.b\\+c\\[1\\]/\\$x$"));
  EXPECT_THAT(only("plain-name", {"ctest"}), ElementsAre("ctest", "-R", "^plain-name$"));
}

TEST(Only, GivesPytestANameOrANode) {
  EXPECT_THAT(only("test_x", {"python3", "-m", "pytest", "/"}),
              ElementsAre("python3", "-m", "pytest", "/", "-k", "test_x"));
  EXPECT_THAT(only("t.py::test_x[a b]", {"pytest", "-c", "/", "/", "-v"}),
              ElementsAre("pytest", "-c", "/", "-v", "t.py::test_x[a b]"));
  EXPECT_THAT(only("a or b", {"pytest"}), ElementsAre(HasSubstr("write FILE::TEST")));
}

TEST(Only, FiltersInAGoogleTestProgram) {
  const std::string self = "/proc/self/exe";  // these tests are such a program
  EXPECT_THAT(only("Suite.Name/0", {"./suite"}, self),
              ElementsAre("./suite", "--gtest_filter=Suite.Name/0"));
  EXPECT_THAT(only("Suite.*", {"./suite"}, self), ElementsAre(HasSubstr("more than one test")));
}

TEST(Only, RefusesWhatItDoesNotKnow) {
  EXPECT_THAT(only("X", {"make"}), ElementsAre(HasSubstr("neither ctest, nor pytest")));
  EXPECT_THAT(only("X", {"python3", "script.py"}), ElementsAre(HasSubstr("neither ctest")));
}

}  // namespace
}  // namespace crashcrawler
