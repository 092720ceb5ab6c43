#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "runner/attribute/test_case/ctest.h"
#include "runner/attribute/test_case/find_tests.h"
#include "tests/support/temporary_directory.h"

namespace crashcrawler {
namespace {

Frame frame(const std::string& function, const std::string& file = "", int line = 0) {
  Frame made;
  made.function = function;
  made.location = {file, line, 0};
  return made;
}

CrashReport crash_in(std::vector<Frame> frames) {
  CrashReport report;
  report.raw.executable = "/build/suite";
  ThreadBacktrace thread;
  thread.crashed = true;
  thread.frames = std::move(frames);
  report.backtrace.threads.push_back(thread);
  return report;
}

TestCase of_stack(std::vector<Frame> frames) {
  return find_test(crash_in(std::move(frames)));
}

class Source {
 public:
  explicit Source(const std::string& text) { std::ofstream(path()) << text; }
  std::string path() const { return folder_.path() + "/suite.cpp"; }

 private:
  TemporaryDirectory folder_;
};

TEST(TestCase, GoogleTestByItsClass) {
  const struct {
    std::string function, suite, name;
  } cases[] = {
      {"Score_Saved_Test::TestBody()", "Score", "Saved"},
      {"shop::(anonymous namespace)::Score_is_saved_Test::TestBody()", "Score", "is_saved"},
      {"(anonymous namespace)::Typed_Works_Test<std::map<int, long> >::TestBody()", "Typed",
       "Works"},
      {"gtest_suite_Pattern_::Works<int>::TestBody()", "Pattern", "Works"},
      {"(anonymous namespace)::gtest_suite_Pa_ttern_::Works<a::b<c> >::TestBody()", "Pa_ttern",
       "Works"},
      {"Score_Saved_Test::TestBody()::{lambda()#1}::operator()() const", "Score", "Saved"},
  };
  for (const auto& one : cases) {
    const TestCase test = of_stack({frame("f()"), frame(one.function), frame("main")});
    EXPECT_EQ(test.framework, "googletest") << one.function;
    EXPECT_EQ(test.suite, one.suite);
    EXPECT_EQ(test.name, one.name);
  }
  EXPECT_EQ(of_stack({frame("Fixture::TestBody()"), frame("a::TestBody()")}).name, "");
}

TEST(TestCase, TheSourceSaysWhereTheSuiteEnds) {
  const Source source("TEST_F(Game_Score, is_saved) {\n  a();\n}\nTEST(Other, x) {\n b();\n}\n");
  const TestCase test = of_stack({frame("Game_Score_is_saved_Test::TestBody()", source.path(), 2)});
  EXPECT_EQ(test.suite, "Game_Score");
  EXPECT_EQ(test.name, "is_saved");
  EXPECT_EQ(test.file, source.path());
  EXPECT_EQ(test.line, 1);
}

TEST(TestCase, TheFilterNamesTheParameter) {
  CrashReport crash = crash_in({frame("P_Crash_Test::TestBody()", "/nowhere/p.cpp", 7)});
  crash.raw.arguments = {"suite", "--gtest_filter=*", "--gtest_filter=Inst/P.Crash/1"};
  const TestCase test = find_test(crash);
  EXPECT_EQ(test.suite, "Inst/P");
  EXPECT_EQ(test.name, "Crash/1");
  ASSERT_EQ(test.candidates.size(), 3u);
  EXPECT_EQ(test.candidates[0].source, "argument --gtest_filter");
  EXPECT_EQ(test.candidates[1].source, "frame");
  EXPECT_EQ(test.candidates[2].source, "executable");
}

TEST(TestCase, AFilterOfMoreThanOneTestSaysNothing) {
  for (const std::string filter : {"Score.*", "A.b:C.d", "-A.b", "A", ".x", "A.?"}) {
    CrashReport crash = crash_in({});
    crash.raw.arguments = {"suite", "--gtest_filter=" + filter};
    EXPECT_EQ(find_test(crash).name, "") << filter;
  }
}

TEST(TestCase, TheNearestAncestorWithAFilterCounts) {
  CrashReport crash = crash_in({frame("main")});
  crash.raw.arguments = {"helper"};
  crash.raw.ancestors = {{3, "sh", {"sh", "-c", "helper"}},
                         {2, "suite", {"suite", "--gtest_filter=Near.Test"}},
                         {1, "other", {"other", "--gtest_filter=Far.Test"}}};
  const TestCase test = find_test(crash);
  EXPECT_EQ(full_name(test), "Near.Test");
  EXPECT_EQ(test.candidates[0].source, "argument --gtest_filter of suite");
}

TEST(TestCase, TheEnvironmentGoesFirst) {
  CrashReport crash = crash_in({frame("A_b_Test::TestBody()")});
  crash.raw.environment = {{"PYTEST_CURRENT_TEST", "t/test_a.py::TestB::test_c[x::y (z)] (call)"}};
  const TestCase test = find_test(crash);
  EXPECT_EQ(test.framework, "pytest");
  EXPECT_EQ(test.suite, "t.test_a.TestB");
  EXPECT_EQ(test.name, "test_c[x::y (z)]");
  EXPECT_EQ(test.file, "t/test_a.py");
  crash.raw.environment.push_back({"NEXTEST_TEST_NAME", "tests::works"});
  crash.raw.environment.push_back({"NEXTEST_BINARY_ID", "score::bin"});
  EXPECT_EQ(full_name(find_test(crash)), "score::bin::tests::works");
  EXPECT_EQ(find_test(crash).runner, "nextest");
  crash.raw.environment.push_back({"CRASHCRAWLER_TEST_NAME", "mine"});
  EXPECT_EQ(find_test(crash).name, "mine");
  EXPECT_EQ(find_test(crash).candidates.size(), 5u);
}

TEST(TestCase, BazelNamesTheTargetLast) {
  CrashReport crash = crash_in({});
  crash.raw.environment = {{"TEST_TARGET", "//score:test"}};
  TestCase test = find_test(crash);
  EXPECT_EQ(test.name, "//score:test");
  EXPECT_EQ(test.framework, "bazel");
  crash.backtrace.threads[0].frames = {frame("A_b_Test::TestBody()")};
  test = find_test(crash);
  EXPECT_EQ(test.name, "b");
  EXPECT_EQ(test.runner_name, "//score:test");
}

TEST(TestCase, BoostRustAndGoByTheirFrames) {
  EXPECT_EQ(full_name(of_stack({frame("outer::inner::is_saved::test_method()")})),
            "outer.inner.is_saved");
  EXPECT_EQ(full_name(of_stack({frame("is_saved::test_method()")})), "is_saved");
  const std::vector<Frame> rust = {frame("core::ptr::write"),
                                   frame("score_test::inner::is_saved"),
                                   frame("score_test::inner::is_saved::{{closure}}"),
                                   frame("core::ops::function::FnOnce::call_once"),
                                   frame("test::__rust_begin_short_backtrace"),
                                   frame("test::run_test::run_test_inner")};
  const TestCase test = of_stack(rust);
  EXPECT_EQ(test.suite, "score_test");
  EXPECT_EQ(test.name, "inner::is_saved");
  EXPECT_EQ(full_name(of_stack(
                {frame("example.com/game/score.TestSaved.func1"), frame("testing.tRunner")})),
            "example.com/game/score.TestSaved");
  EXPECT_EQ(of_stack({frame("testing.tRunner")}).name, "");
}

TEST(TestCase, Catch2AndDoctestByTheTextInTheSource) {
  const Source source(
      "TEST_CASE(\"score, \" \"saved\",\n  \"[tag]\") {\n  a();\n}\n"
      "TEST_CASE_METHOD(Fixture, \"of a class\") {\n  b();\n}\nSCENARIO(\"s\") {\n c(); }\n");
  const TestCase first = of_stack({frame("C_A_T_C_H_T_E_S_T_2()", source.path(), 3)});
  EXPECT_EQ(first.name, "score, saved");
  EXPECT_EQ(first.line, 1);
  EXPECT_EQ(
      of_stack({frame("(anonymous namespace)::CATCH2_INTERNAL_TEST_4::test()", source.path(), 6)})
          .name,
      "of a class");
  EXPECT_EQ(of_stack({frame("DOCTEST_ANON_FUNC_2()", source.path(), 3)}).framework, "doctest");
  EXPECT_EQ(of_stack({frame("C_A_T_C_H_T_E_S_T_7()", source.path(), 9)}).name, "Scenario: s");
  EXPECT_EQ(of_stack({frame("DOCTEST_ANON_FUNC_2()", "/nowhere/a.cpp", 3)}).name, "a.cpp:3");
  EXPECT_EQ(of_stack({frame("DOCTEST_ANON_FUNC_2()")}).name, "DOCTEST_ANON_FUNC_2()");
}

TEST(TestCase, TheTestMayBeInAnotherThread) {
  CrashReport crash = crash_in({frame("worker()")});
  ThreadBacktrace main_thread;
  main_thread.frames = {frame("pthread_join"), frame("A_b_Test::TestBody()")};
  crash.backtrace.threads.push_back(main_thread);
  const TestCase test = find_test(crash);
  EXPECT_EQ(full_name(test), "A.b");
  EXPECT_EQ(test.candidates[0].source, "frame of another thread");
}

TEST(TestCase, OnlyTheExecutableIsACandidateAndNoName) {
  const TestCase test = of_stack({frame("main")});
  EXPECT_EQ(test.name, "");
  ASSERT_EQ(test.candidates.size(), 1u);
  EXPECT_EQ(test.candidates[0].name, "suite");
}

// --- ctest ---

constexpr const char* kAnswer = R"({"kind": "ctestInfo", "version": {"major": 1, "minor": 0},
 "backtraceGraph": {"commands": ["add_test"], "files": ["/src/CMakeLists.txt"],
   "nodes": [{"file": 0}, {"command": 0, "file": 0, "line": 12, "parent": 0}]},
 "tests": [
  {"name": "Inst/P.Crash/2", "backtrace": 1, "command": ["/b/suite", "--gtest_filter=Inst/P.Crash/1"],
   "properties": [{"name": "WORKING_DIRECTORY", "value": "/b"}]},
  {"name": "dies", "backtrace": 99, "command": ["/b/victim"],
   "properties": [{"name": "WILL_FAIL", "value": true}, {"name": "WORKING_DIRECTORY", "value": "/b/one"}]},
  {"name": "dies too", "command": ["/b/victim"],
   "properties": [{"name": "WORKING_DIRECTORY", "value": "/b/two"}]},
  {"name": "script", "command": ["/shims/python3", "/src/run.py", "-x"], "properties": []},
  {"name": "not built", "properties": []}, {"command": ["nameless"]}, 7
 ]})";

std::vector<CtestTest> answered() {
  Result<std::vector<CtestTest>> tests = parse_show_only(kAnswer);
  return tests ? *tests : std::vector<CtestTest>();
}

std::vector<std::string> names(const RawCrash& crash, const std::vector<CtestTest>& tests) {
  std::vector<std::string> all;
  for (const CtestTest* test : tests_of(crash, tests)) {
    all.push_back(test->name);
  }
  return all;
}

TEST(Ctest, ItsAnswerIsRead) {
  const std::vector<CtestTest> tests = answered();
  ASSERT_EQ(tests.size(), 5u);
  EXPECT_EQ(tests[4].name, "not built");
  EXPECT_EQ(tests[0].file, "/src/CMakeLists.txt");
  EXPECT_EQ(tests[0].line, 12);
  EXPECT_FALSE(tests[0].will_fail);
  EXPECT_TRUE(tests[1].will_fail);
  EXPECT_EQ(tests[1].working_directory, "/b/one");
}

TEST(Ctest, WhatIsNoAnswerIsAnError) {
  for (const char* text : {"", "{", "[]", "null", "{\"tests\": 3}", "{\"kind\": \"ctestInfo\"}"}) {
    EXPECT_FALSE(parse_show_only(text)) << text;
  }
  EXPECT_TRUE(parse_show_only(
      R"({"kind":"ctestInfo","tests":[{"name":3,"command":{"a":1},"properties":1,"backtrace":-1}]})"));
}

TEST(Ctest, TestsAreFoundByCommandAndFolder) {
  const std::vector<CtestTest> tests = answered();
  RawCrash crash;
  crash.arguments = {"/b/victim"};
  EXPECT_EQ(names(crash, tests), (std::vector<std::string>{"dies", "dies too"}));
  crash.working_directory = "/b/two";
  EXPECT_EQ(names(crash, tests), std::vector<std::string>{"dies too"});
  crash.arguments = {"helper", "x"};
  crash.ancestors = {{3, "python3", {"/usr/bin/python3", "/src/run.py", "-x"}},
                     {2, "ctest", {"ctest"}},
                     {1, "victim", {"/b/victim"}}};
  EXPECT_EQ(names(crash, tests), std::vector<std::string>{"script"});
  crash.arguments = {"/b/victim"};
  EXPECT_EQ(names(crash, tests), std::vector<std::string>{"script"}) << "not its own command";
  crash.arguments = {"helper"};
  crash.ancestors.erase(crash.ancestors.begin());
  EXPECT_TRUE(names(crash, tests).empty()) << "above ctest nothing belongs to one of its tests";
}

// add_test(a P --x) next to add_test(b ...): what of b becomes P without a trace could be a.
TEST(Ctest, ATestThatStartsTheProgramOfAnother) {
  const auto test = [](const char* name, std::vector<std::string> command) {
    CtestTest made;
    made.name = name;
    made.command = std::move(command);
    return made;
  };
  RawCrash crash;
  crash.arguments = {"/b/P", "--x"};
  crash.ancestors = {{2, "ctest", {"ctest"}}};
  const CtestTest a = test("a", {"/b/P", "--x"});
  using List = std::vector<std::string>;
  EXPECT_EQ(names(crash, {a, test("b", {"sh", "-c", "/b/P --x; true"})}), List{"a"});
  EXPECT_EQ(names(crash, {a, test("b", {"/bin/bash", "-c", "/b/P --x"})}), (List{"a", "b"}));
  EXPECT_EQ(names(crash, {a, test("b", {"/usr/bin/env", "V=1", "/b/P", "--x"})}), (List{"a", "b"}));
  EXPECT_EQ(names(crash, {test("b", {"env", "V=1", "/b/P", "--x"})}), List{"b"});
  EXPECT_EQ(names(crash, {test("b", {"timeout", "1", "/b/P", "--x"})}), List{});
  crash.ancestors.insert(crash.ancestors.begin(), {3, "sh", {"sh", "-c", "/b/P --x; true"}});
  EXPECT_EQ(names(crash, {a, test("b", {"sh", "-c", "/b/P --x; true"})}), List{"b"});
}

TEST(Ctest, ACommandLineThatWasCutMatchesByItsBeginning) {
  CtestTest test;
  test.name = "long";
  test.command = {"/b/suite", std::string(500, 'x'), "last"};
  RawCrash crash;
  crash.ancestors = {{2, "suite", {"/b/suite", std::string(450, 'x')}}};
  EXPECT_EQ(names(crash, {test}), std::vector<std::string>{"long"});
  crash.ancestors = {{2, "suite", {"/b/suite", "xx"}}};
  EXPECT_TRUE(names(crash, {test}).empty());
}

TEST(Ctest, WhatSelectsTestsIsHandedOn) {
  using testing::ElementsAre;
  EXPECT_THAT(selecting_arguments({"ctest", "-j4", "-R", "a", "--test-dir", "b", "-LE", "slow",
                                   "--output-junit", "x.xml", "-O", "log", "-C", "Debug",
                                   "--label-regex=fast", "-V", "-U"}),
              ElementsAre("-R", "a", "-LE", "slow", "-C", "Debug", "--label-regex=fast", "-U"));
  EXPECT_TRUE(is_ctest({"/usr/bin/ctest", "-j4"}));
  EXPECT_FALSE(is_ctest({"ctest", "-S", "dashboard.cmake"}));
  EXPECT_FALSE(is_ctest({"make", "ctest"}));
  EXPECT_FALSE(is_ctest({}));
}

TEST(Ctest, ItsLogTellsResultsAndWhatRan) {
  std::vector<CtestTest> tests(3);
  tests[0].name = "good";
  tests[1].name = "bad";
  tests[2].name = "never";
  read_log(
      "Start testing: now\n1/2 Testing: good\nOutput:\n[ RUN      ] A.b\n[       OK ] A.b (0 ms)\n"
      "<end of output>\nTest Passed.\n\"good\" end time: now\n2/2 Testing: bad\n[ RUN      ] A.c\n"
      "Test Failed.\n\"bad\" end time: now\n3/2 Testing: ",
      tests);
  EXPECT_EQ(tests[0].result, RunnerResult::passed);
  EXPECT_EQ(tests[0].last_run, "");
  EXPECT_EQ(tests[1].result, RunnerResult::failed);
  EXPECT_EQ(tests[1].last_run, "A.c");
  EXPECT_EQ(tests[2].result, RunnerResult::unknown);
}

}  // namespace
}  // namespace crashcrawler
