#include "runner/classify/expected.h"

#include <gtest/gtest.h>

#include <csignal>
#include <fstream>

#include "runner/classify/expect_rules.h"
#include "tests/support/temporary_directory.h"

namespace crashcrawler {
namespace {

constexpr const char* kSource = R"(TEST(Score, Dies) {
  before();
  EXPECT_DEATH({
    die();
  }, "");
  EXPECT_EXIT(die(), testing::KilledBySignal(SIGABRT), "");
  EXPECT_EXIT(die(), testing::ExitedWithCode(3), "");
}
)";
constexpr int kBefore = 2, kDeath = 3, kKilled = 6, kExited = 7;

class DeathTest : public testing::Test {
 protected:
  DeathTest() : file_(folder_.path() + "/score_test.cpp") { std::ofstream(file_) << kSource; }

  static Frame frame(const std::string& function, const std::string& file, int line) {
    Frame made;
    made.function = function;
    made.location = {file, line, 0};
    made.in_app = true;
    return made;
  }

  // A process whose test stood at `line`, below a parent with the same command line, which ctest had started.
  CrashReport forked_child(int line, int signal = SIGSEGV) const {
    CrashReport report;
    report.raw.pid = 30;
    report.raw.arguments = {"score_test"};
    report.raw.ancestors = {{20, "score_test", {"score_test"}}, {10, "ctest", {"ctest"}}};
    report.raw.signal = {signal, SEGV_MAPERR, 0, 0, 0, 0};
    report.raw.has_exit = true;
    report.raw.wait_status = signal;
    ThreadBacktrace thread;
    thread.tid = 30;
    thread.crashed = true;
    thread.stop_reason = "end of stack";
    thread.frames = {frame("die()", folder_.path() + "/gone.cpp", 4),
                     frame("Score_Dies_Test::TestBody()", file_, line),
                     frame("testing::Test::Run()", "/gtest/gtest.cc", 2600),
                     frame("main", "/gtest/main.cc", 5)};
    report.backtrace.threads = {thread};
    report.test.framework = "googletest";
    report.test.suite = "Score";
    report.test.name = "Dies";
    report.test.file = file_;
    return report;
  }

  CrashReport started_child(int line, int flag_line) const {
    CrashReport report = forked_child(line);
    report.raw.arguments = {
        "score_test", "--gtest_filter=Score.Dies",
        "--gtest_internal_run_death_test=" + file_ + "|" + std::to_string(flag_line) + "|0|5"};
    return report;
  }

  static std::string reason(CrashReport report, const std::vector<CrashReport>& others = {}) {
    std::vector<CrashReport> all{std::move(report)};
    all.insert(all.end(), others.begin(), others.end());
    EXPECT_TRUE(mark_expected(all, {}, RunOutcome()).empty());
    return all.front().expected_reason;
  }

  TemporaryDirectory folder_;
  std::string file_;
};

TEST_F(DeathTest, AForkedChildInItsStatement) {
  EXPECT_EQ(reason(forked_child(kDeath)),
            "GoogleTest death test (fast style), in EXPECT_DEATH at score_test.cpp:3");
  EXPECT_NE(reason(forked_child(kDeath + 1)), "") << "clang gives the line inside of the macro";
}

TEST_F(DeathTest, AForkedChildElsewhereInTheTestIsACrash) {
  EXPECT_EQ(reason(forked_child(kBefore)), "");
}

TEST_F(DeathTest, TheParentIsNotExcused) {
  CrashReport parent = forked_child(kDeath);
  parent.raw.ancestors.erase(parent.raw.ancestors.begin());
  EXPECT_EQ(reason(parent), "");
}

TEST_F(DeathTest, AParentThatWasDeadDidNotWait) {
  CrashReport parent = forked_child(kBefore);
  parent.raw.pid = 20;
  CrashReport child = forked_child(kDeath);
  child.raw.time = parent.raw.time + std::chrono::seconds(1);
  EXPECT_EQ(reason(child, {parent}), "");
  child.raw.time = parent.raw.time - std::chrono::seconds(1);
  EXPECT_NE(reason(child, {parent}), "");
}

TEST_F(DeathTest, AnotherSignalThanThatAcceptedIsACrash) {
  EXPECT_NE(reason(forked_child(kKilled, SIGABRT)), "");
  EXPECT_EQ(reason(forked_child(kKilled, SIGSEGV)), "");
  EXPECT_EQ(reason(forked_child(kExited, SIGSEGV)), "");
  CrashReport wanted = forked_child(kExited, SIGSEGV);
  wanted.test.runner_result = RunnerResult::passed;
  EXPECT_NE(reason(wanted), "") << "a test of what death tests do";
  wanted.test.runner_result = RunnerResult::failed;
  EXPECT_EQ(reason(wanted), "");
}

TEST_F(DeathTest, HangsAndKillsAreNot) {
  for (const CrashKind kind : {CrashKind::hang, CrashKind::killed, CrashKind::oom}) {
    CrashReport report = forked_child(kDeath);
    report.kind = kind;
    EXPECT_EQ(reason(report), "");
  }
}

TEST_F(DeathTest, WithoutASourceTheNameOfTheSuiteSaysIt) {
  CrashReport report = forked_child(kDeath);
  report.backtrace.threads[0].frames[1].location = {};
  report.test.file.clear();
  EXPECT_EQ(reason(report), "");
  for (const char* suite : {"ScoreDeathTest", "Inst/ScoreDeathTest", "ScoreDeathTest/0"}) {
    report.test.suite = suite;
    EXPECT_NE(reason(report), "") << suite;
  }
  report.test.suite = "DeathTestOfScores";
  EXPECT_EQ(reason(report), "");
}

TEST_F(DeathTest, AChildThatWasStartedAnew) {
  EXPECT_EQ(reason(started_child(kDeath, 5)),
            "GoogleTest death test (threadsafe style), in EXPECT_DEATH at score_test.cpp:3");
  EXPECT_EQ(reason(started_child(kBefore, kDeath)), "") << "it died before its statement";
  EXPECT_EQ(reason(started_child(kKilled, kKilled)), "") << "SIGSEGV, not SIGABRT";
}

TEST_F(DeathTest, AChildThatWasStartedAnewOfAnUnknownSource) {
  CrashReport report = started_child(kBefore, kDeath);
  report.raw.arguments.back() = "--gtest_internal_run_death_test=/nowhere/a.cpp|9|0|5";
  EXPECT_EQ(reason(report), "GoogleTest death test (threadsafe style), at a.cpp:9");
}

TEST_F(DeathTest, TheStatementMayRunInAnotherThread) {
  CrashReport report = started_child(kDeath, kDeath);
  ThreadBacktrace worker;
  worker.crashed = true;
  worker.tid = 31;
  worker.frames = {frame("work()", "/gone.cpp", 1)};
  report.backtrace.threads.insert(report.backtrace.threads.begin(), worker);
  EXPECT_NE(reason(report), "");
}

TEST_F(DeathTest, AChildThatRaisesItsSignalForATestThatPassed) {
  CrashReport report = forked_child(kBefore);
  report.raw.signal = {SIGSEGV, SI_TKILL, 0, 0, report.raw.pid, 0};
  EXPECT_EQ(reason(report), "");
  report.test.runner_result = RunnerResult::passed;
  EXPECT_NE(reason(report), "");
  report.raw.first_signal.emplace().signal = report.raw.signal;
  EXPECT_NE(reason(report), "") << "a tracer saw it first";
  report.raw.first_signal->signal = {SIGSEGV, SEGV_MAPERR, 0, 0, 0, 0};
  EXPECT_EQ(reason(report), "") << "a fault, raised anew";
  report.raw.first_signal.reset();
  report.raw.signal.number = SIGABRT;
  EXPECT_EQ(reason(report), "") << "a failed check";
}

TEST_F(DeathTest, StoppedAtAFailedAssertion) {
  CrashReport report = forked_child(kBefore, SIGTRAP);
  report.raw.ancestors = {{20, "python3", {"python3", "check.py"}}, {10, "ctest", {"ctest"}}};
  report.backtrace.threads[0].frames = {frame(
      "testing::UnitTest::AddTestPartResult(testing::TestPartResult::Type, char const*)", "", 0)};
  EXPECT_NE(reason(report).find("gtest_break_on_failure"), std::string::npos);
  report.test.runner_result = RunnerResult::failed;
  EXPECT_EQ(reason(report), "");
  report.test.runner_result = RunnerResult::passed;
  report.raw.ancestors.front() = {20, "sh", {"sh", "-c", "suite; true"}};
  EXPECT_EQ(reason(report), "");
}

TEST_F(DeathTest, WillFailOfCtest) {
  CrashReport report = forked_child(kBefore);
  report.test.runner_name = "dies";
  report.test.failure_wanted = true;
  EXPECT_EQ(reason(report), "ctest wants the test dies to fail (WILL_FAIL)");
  report.test.runner_result = RunnerResult::failed;
  EXPECT_EQ(reason(report), "");
  report.test.runner_result = RunnerResult::unknown;
  report.raw.ancestors.erase(report.raw.ancestors.begin());
  EXPECT_EQ(reason(report), "") << "ctest counts a signal of its own child as a failure";
}

// --- rules ---

TEST(ExpectRule, EverythingThatIsAskedForMustBeSo) {
  CrashReport report;
  report.raw.executable = "/build/victim";
  report.raw.signal.number = SIGABRT;
  report.test.suite = "Foo";
  report.test.name = "Bar";
  report.test.runner_name = "all of it";
  Frame frame;
  frame.function = "shop::check_failed(int)";
  report.backtrace.threads.emplace_back().frames = {frame};
  for (const char* rule :
       {"exe=*/victim", "signal=SIGABRT", "frame=*check_failed*", "frame=shop::check_failed",
        "test=Foo.*", "test=Bar", "test=\"all of it\"", "exe=*/v?ctim signal=SIG* test=F*"}) {
    const Result<ExpectRule> parsed = parse_expect_rule(rule, "");
    ASSERT_TRUE(parsed) << rule;
    EXPECT_TRUE(matches(*parsed, report)) << rule;
  }
  for (const char* rule :
       {"exe=victim", "signal=SIGSEGV", "frame=check", "test=Foo", "exe=*/victim signal=SIGSEGV"}) {
    const Result<ExpectRule> parsed = parse_expect_rule(rule, "");
    ASSERT_TRUE(parsed) << rule;
    EXPECT_FALSE(matches(*parsed, report)) << rule;
  }
}

TEST(ExpectRule, MistakesAreSaidWithTheirPlace) {
  const struct {
    std::string text, error;
  } cases[] = {
      {"", "at a: the rule is empty"},
      {"exe", "at a: 'exe' at character 1 has no ="},
      {"exe=x  who=y", "at a: 'who=y' at character 8 has an unknown key"},
      {"exe=x exe=y", "at a: 'exe=y' at character 7 gives this key for the second time"},
      {"frame=", "at a: 'frame=' at character 1 has no pattern"},
      {"signal=SEGV", "at a: 'signal=SEGV' at character 1 names no signal"},
      {"test=\"a b", "at a: 'test=\"a b' at character 1 has a quote that does not end"},
  };
  for (const auto& one : cases) {
    const Result<ExpectRule> parsed = parse_expect_rule(one.text, "at a: ");
    ASSERT_FALSE(parsed) << one.text;
    EXPECT_TRUE(parsed.error().message.starts_with(one.error)) << parsed.error().message;
  }
}

TEST(ExpectRule, FilesHaveOneOnEachLine) {
  const auto rules = parse_expect_file("# why\n\n  exe=a\r\ntest=b\n", "rules");
  ASSERT_TRUE(rules);
  ASSERT_EQ(rules->size(), 2u);
  EXPECT_EQ((*rules)[0].executable, "a");
  EXPECT_EQ((*rules)[1].text, "rules:4: test=b");
  const auto wrong = parse_expect_file("exe=a\nbad\n", "rules");
  ASSERT_FALSE(wrong);
  EXPECT_TRUE(wrong.error().message.starts_with("rules:2: 'bad'")) << wrong.error().message;
}

TEST(ExpectRule, PatternsTakeNoTimeOverHostileNames) {
  EXPECT_FALSE(matches_pattern("*a*a*a*a*a*a*a*a*b", std::string(100000, 'a')));
  EXPECT_TRUE(matches_pattern("f[0](*)", "f[0](x)"));
  EXPECT_TRUE(matches_pattern("**", ""));
  EXPECT_FALSE(matches_pattern("?", ""));
}

TEST(ExpectRule, WhatMatchedNothingIsTold) {
  std::vector<CrashReport> reports(1);
  reports[0].raw.executable = "/build/victim";
  const auto rules = parse_expect_file("exe=*/victim\nexe=*/other\n", "rules");
  ASSERT_TRUE(rules);
  EXPECT_EQ(mark_expected(reports, *rules, RunOutcome()),
            std::vector<std::string>{"no death matched the rule rules:2: exe=*/other"});
  EXPECT_EQ(reports[0].expected_reason, "rule rules:1: exe=*/victim");
}

}  // namespace
}  // namespace crashcrawler
