#include "runner/augment/matching_case.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace crashcrawler {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

JunitDocument cases(std::vector<std::pair<std::string, std::string>> class_and_name) {
  JunitDocument document;
  for (auto& [classname, name] : class_and_name) {
    document.cases.push_back({{}, name, classname, {}, 0});
  }
  return document;
}

TestCase test(const std::string& framework, const std::string& suite, const std::string& name) {
  TestCase made;
  made.framework = framework;
  made.suite = suite;
  made.name = name;
  return made;
}

TEST(MatchingCase, ByTheNamesOfEachFramework) {
  const JunitDocument document = cases({{"Inst/P", "Par/0"},
                                        {"prog.global", "crashes"},
                                        {"dt.cpp", "divides"},
                                        {"A.B", "boosted"},
                                        {"tests.test_score.TestLater", "test_x"},
                                        {"Other", "Par/0"},
                                        {"Score.Crashes", "Score.Crashes"}});
  const auto found = [&](const TestCase& t) { return matching_cases(document, t, false); };
  EXPECT_THAT(found(test("googletest", "Inst/P", "Par/0")), ElementsAre(0));
  EXPECT_THAT(found(test("catch2", "", "crashes")), ElementsAre(1));
  EXPECT_THAT(found(test("doctest", "", "divides")), ElementsAre(2));
  EXPECT_THAT(found(test("boost.test", "A/B", "boosted")), ElementsAre(3));
  EXPECT_THAT(found(test("pytest", "tests/test_score.py::TestLater", "test_x")), ElementsAre(4));
  EXPECT_THAT(found(test("pytest", "test_score.TestLater", "test_x")), ElementsAre(4));
  EXPECT_THAT(found(test("googletest", "Score", "Crashes")), ElementsAre(6));
}

TEST(MatchingCase, DoesNotGuess) {
  const JunitDocument document = cases({{"Other", "Crashes"}, {"S", "twice"}, {"S", "twice"}});
  EXPECT_THAT(matching_cases(document, test("googletest", "Score", "Crashes"), false), IsEmpty());
  EXPECT_THAT(matching_cases(document, test("googletest", "", ""), false), IsEmpty());
  EXPECT_THAT(matching_cases(document, test("googletest", "S", "twice"), false), ElementsAre(1, 2));
}

TEST(MatchingCase, OfCtestIsByItsOwnName) {
  const JunitDocument document = cases({{"Crashes", "Crashes"}, {"all", "all"}});
  TestCase crashed = test("googletest", "", "Crashes");
  EXPECT_THAT(matching_cases(document, crashed, true), IsEmpty());
  crashed.runner = "ctest";
  crashed.runner_name = "all";
  EXPECT_THAT(matching_cases(document, crashed, true), ElementsAre(1));
}

TEST(MatchingCase, ClassnamesAreThoseOfTheFramework) {
  EXPECT_EQ(classname_of(test("googletest", "Inst/P", "x"), "prog"), "Inst/P");
  EXPECT_EQ(classname_of(test("catch2", "tag", "x"), "prog"), "prog.global");
  EXPECT_EQ(classname_of(test("boost.test", "A/B", "x"), "prog"), "A.B");
  EXPECT_EQ(classname_of(test("pytest", "d/test_a.py", "x"), "python3"), "d.test_a");
  EXPECT_EQ(classname_of(test("", "", ""), "prog"), "prog");
}

}  // namespace
}  // namespace crashcrawler
