#include "runner/augment/printed_results.h"

#include <gtest/gtest.h>

namespace crashcrawler {
namespace {

TEST(PrintedResults, OfGoogleTest) {
  const PrintedResults results = read_output(
      "googletest",
      "[==========] Running 8 tests from 3 test suites.\n[----------] 5 tests from Score\n"
      "[ RUN      ] Score.Passes\n[       OK ] Score.Passes (1500 ms)\n"
      "[ RUN      ] Inst/P.Fails/0\na.cpp:4: Failure\n[       OK ] Score.Passes (0 ms)\n"
      "[  FAILED  ] Inst/P.Fails/0, where GetParam() = 5 (2 ms) (0 ms)\n"
      "\x1b[0;32m[ RUN      ] \x1b[mScore.Skips\r\n\x1b[0;32m[  SKIPPED ] \x1b[mScore.Skips (0 "
      "ms)\r\n"
      "[  FAILED  ] Score.Passes\n[ RUN      ] Score.Crashes\nlast words");
  EXPECT_EQ(results.announced, 8u);
  ASSERT_EQ(results.tests.size(), 4u);
  EXPECT_EQ(results.tests[0].state, TestState::passed);
  EXPECT_EQ(results.tests[0].seconds, 1.5);
  EXPECT_EQ(results.tests[1].suite, "Inst/P");
  EXPECT_EQ(results.tests[1].name, "Fails/0");
  EXPECT_EQ(results.tests[1].state, TestState::failed);
  EXPECT_EQ(results.tests[1].words, "a.cpp:4: Failure\n[       OK ] Score.Passes (0 ms)\n");
  EXPECT_EQ(results.tests[2].state, TestState::skipped);
  EXPECT_EQ(results.tests[3].state, TestState::unfinished);
  EXPECT_EQ(results.tests[3].words, "last words\n");
}

TEST(PrintedResults, ARepeatedTestThatFailedOnceHasFailed) {
  const PrintedResults results = read_output(
      "googletest",
      "[ RUN      ] S.a\nwhy\n[  FAILED  ] S.a (0 ms)\n[ RUN      ] S.a\n[       OK ] S.a (0 "
      "ms)\n");
  ASSERT_EQ(results.tests.size(), 1u);
  EXPECT_EQ(results.tests[0].state, TestState::failed);
}

TEST(PrintedResults, SurviveAnything) {
  EXPECT_TRUE(read_output("catch2", "anything").tests.empty());
  for (const char* framework : {"boost.test", "pytest"}) {
    for (const std::string& text :
         {std::string(), std::string("collected \na.py::\n.py::[\n: Entering test case \""),
          ": Entering test case \"" + std::string(1 << 20, 'x'),
          "collected\na.py::" + std::string(1 << 20, 'x')}) {
      EXPECT_LE(read_output(framework, text).tests.size(), 1u);
    }
  }
  EXPECT_TRUE(read_output("googletest", "").tests.empty());
  EXPECT_TRUE(
      read_output("googletest", "[ RUN      ] nodot\n[       OK ] \n[  FAILED  ]\n\x1b[\x1b")
          .tests.empty());
  EXPECT_TRUE(
      read_output("googletest", "[ RUN      ] a." + std::string(1 << 20, 'x')).tests.empty());
  EXPECT_EQ(read_output("googletest",
                        "[ RUN      ] a.b\n" + std::string(1 << 20, 'x') + "\n[       OK ] a.b")
                .tests.at(0)
                .words,
            "");
}

TEST(PrintedResults, OfBoostTest) {
  const PrintedResults results =
      read_output("boost.test",
                  "Running 5 test cases...\n\x1b[1mEntering test module \"m\"\n\x1b[0ma.cpp(7): "
                  "Entering test suite \"A\"\n"
                  "a.cpp(8): Entering test suite \"B\"\na.cpp(9): Entering test case \"good\"\n"
                  "a.cpp(9): Leaving test case \"good\"; testing time: 1500us\n"
                  "a.cpp(10): Entering test case \"bad\"\na.cpp(11): error: in \"A/B/bad\": check "
                  "a == b has failed\n"
                  "a.cpp(10): Leaving test case \"bad\"\na.cpp(8): Leaving test suite \"B\"; "
                  "testing time: 2us\n"
                  "a.cpp(12): Entering test case \"open\"\nlast words\n");
  ASSERT_EQ(results.tests.size(), 3u);
  EXPECT_EQ(results.tests[0].suite, "A.B");
  EXPECT_EQ(results.tests[0].name, "good");
  EXPECT_EQ(results.tests[0].state, TestState::passed);
  EXPECT_DOUBLE_EQ(*results.tests[0].seconds, 0.0015);
  EXPECT_EQ(results.tests[1].state, TestState::failed);
  EXPECT_EQ(results.tests[1].words, "a.cpp(11): error: in \"A/B/bad\": check a == b has failed\n");
  EXPECT_EQ(results.tests[2].suite, "A");
  EXPECT_EQ(results.tests[2].state, TestState::unfinished);
}

TEST(PrintedResults, OfPytest) {
  const PrintedResults results = read_output(
      "pytest",
      "=== test session starts ===\nx.py::not_yet PASSED\ncollecting ... collected 6 items\n\n"
      "../t/test_a.py::test_good PASSED   [ 16%]\nt/test_a.py::C::test_bad[a b::c] FAILED [ 33%]\n"
      "t/test_a.py::test_skip SKIPPED (why) [ 50%]\nwords\n"
      "t/test_a.py::test_dies Fatal Python error: Segmentation fault\n"
      "t/test_a.py::test_fails PASSED\n=== FAILURES ===\nt/test_a.py::test_none PASSED\n");
  ASSERT_EQ(results.tests.size(), 5u);
  EXPECT_EQ(results.tests[0].suite, "t/test_a.py");
  EXPECT_EQ(results.tests[0].name, "test_good");
  EXPECT_EQ(results.tests[0].state, TestState::passed);
  EXPECT_EQ(results.tests[1].suite, "t/test_a.py::C");
  EXPECT_EQ(results.tests[1].name, "test_bad[a b::c]");
  EXPECT_EQ(results.tests[1].state, TestState::failed);
  EXPECT_EQ(results.tests[2].state, TestState::skipped);
  EXPECT_EQ(results.tests[3].name, "test_dies");
  EXPECT_EQ(results.tests[3].state, TestState::unfinished);
}

TEST(PrintedResults, OfXdist) {
  const PrintedResults results = read_output(
      "pytest",
      "gw0 [5]\n\nscheduling tests via LoadScheduling\n\nt.py::test_a \nt.py::test_b[x] \n"
      "[gw0] [ 20%] PASSED t.py::test_a \n[gw1] [ 40%] FAILED t.py::test_b[x] \nt.py::test_c ");
  ASSERT_EQ(results.tests.size(), 3u);
  EXPECT_EQ(results.tests[0].state, TestState::passed);
  EXPECT_EQ(results.tests[1].name, "test_b[x]");
  EXPECT_EQ(results.tests[1].state, TestState::failed);
  EXPECT_EQ(results.tests[2].state, TestState::unfinished);
}

TEST(PrintedResults, OfATestWhoseProgramCtestDidNotFind) {
  const PrintedResults results = read_ctest_log(
      "1/1 Testing: a\nCommand: \"\"\nOutput:\n---\n<end of output>\nTest time =   0.00 sec\nTest "
      "Passed.\n");
  ASSERT_EQ(results.tests.size(), 1u);
  EXPECT_EQ(results.tests[0].state, TestState::skipped);
}

TEST(PrintedResults, OfACtestThatDied) {
  const PrintedResults results = read_ctest_log(
      "Start testing: now\n---\n1/4 Testing: a\n1/4 Test: a\nCommand: x\nOutput:\n---\n2/4 "
      "Testing: no\n"
      "Test Failed.\n<end of output>\nTest time =   0.25 sec\n---\nTest Passed.\n\n2/4 Testing: b "
      "c\nOutput:\n---\n"
      "why\n<end of output>\nTest time =   1.00 sec\nTest Failed.\n3/4 Testing: "
      "d\nOutput:\n---\ncut");
  EXPECT_EQ(results.announced, 4u);
  ASSERT_EQ(results.tests.size(), 3u);
  EXPECT_EQ(results.tests[0].state, TestState::passed);
  EXPECT_EQ(results.tests[0].seconds, 0.25);
  EXPECT_EQ(results.tests[1].name, "b c");
  EXPECT_EQ(results.tests[1].state, TestState::failed);
  EXPECT_EQ(results.tests[1].words, "why\n");
  EXPECT_EQ(results.tests[2].state, TestState::unfinished);
}

TEST(PrintedResults, OfOneTestInTheLogOfCtest) {
  const std::string log =
      "Start testing: now\n1/2 Testing: a\n\"a\" start time: Nov 22\nOutput:\n-----\nold\n<end of "
      "output>\n"
      "2/2 Testing: a\n\"a\" start time: Nov 22\nOutput:\n-----\none\ntwo\n<end of output>\nTest "
      "time = 1\n";
  EXPECT_EQ(output_in_ctest_log(log, "a"), "one\ntwo");
  EXPECT_EQ(output_in_ctest_log(log, "b"), std::nullopt);
  EXPECT_EQ(output_in_ctest_log("\n\"a\" start time: ", "a"), std::nullopt);
}

}  // namespace
}  // namespace crashcrawler
