#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <sstream>

#include "runner/report/report.h"
#include "runner/report/text.h"
#include "tests/unit/report/sample.h"

namespace crashcrawler {
namespace {

using ::testing::Contains;
using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::SizeIs;
using ::testing::StartsWith;

constexpr const char* kOutput = "/home/user/project/crashcrawler-out";

std::vector<std::string> lines_of(const Session& session, int exit_status = 8) {
  std::vector<std::string> lines;
  std::istringstream text(summary(session, kOutput, exit_status));
  for (std::string line; std::getline(text, line);) {
    lines.push_back(line);
  }
  return lines;
}

Session with(std::vector<CrashReport> crashes) {
  Session session = quiet_session();
  session.crashes = std::move(crashes);
  return session;
}

TEST(Summary, OfAQuietRunIsEmpty) {
  EXPECT_EQ(summary(quiet_session(), kOutput, 8), "");
}

TEST(Summary, NamesNoFileWhereNoneCouldBeWritten) {
  const std::string text = summary(with({null_write()}), "", 125);
  EXPECT_THAT(text, HasSubstr("crashcrawler-run exits with 125"));
  EXPECT_THAT(text, HasSubstr("SIGSEGV"));
  EXPECT_THAT(text, ::testing::EndsWith("crashcrawler: there is no report\n"));
  EXPECT_THAT(text, ::testing::Not(HasSubstr("crashes/")));
}

TEST(Summary, BeginsWithTheEssence) {
  EXPECT_EQ(lines_of(with({null_write(), null_write(), failed_check()}))[0],
            "crashcrawler: 3 crashes (2 distinct) in 5.2 s; the command exited with 8");
  EXPECT_EQ(lines_of(with({null_write()}))[0],
            "crashcrawler: 1 crash in 5.2 s; the command exited with 8");
}

CrashReport hang() {
  CrashReport report = failed_check();
  report.kind = CrashKind::hang;
  report.raw.cause = Cause::timeout;
  report.raw.signal = {};
  report.signature.hash = "hang";
  return report;
}

TEST(Summary, DoesNotCallAHangACrash) {
  EXPECT_THAT(lines_of(with({hang()}))[0], StartsWith("crashcrawler: 1 hang in"));
  EXPECT_THAT(lines_of(with({hang(), hang()}))[0],
              StartsWith("crashcrawler: 2 hangs (1 distinct) in"));
  EXPECT_THAT(lines_of(with({null_write(), hang(), hang()}))[0],
              StartsWith("crashcrawler: 1 crash and 2 hangs (1 distinct) in"));
  EXPECT_THAT(lines_of(with({null_write(), null_write(), failed_check(), hang()}))[0],
              StartsWith("crashcrawler: 3 crashes (2 distinct) and 1 hang in"));
}

TEST(Summary, AHangWithTheSignatureOfACrashIsCountedForItself) {
  CrashReport killed = hang();
  killed.kind = CrashKind::killed;
  EXPECT_THAT(lines_of(with({killed, hang()}))[0],
              StartsWith("crashcrawler: 1 crash and 1 hang in"));
}

TEST(Summary, TellsHangsAndCrashesApartAlsoInWhatIsLeftOut) {
  std::vector<CrashReport> crashes(38, hang());
  for (size_t i = 0; i < crashes.size(); ++i) {
    crashes[i].signature.hash = "hang" + std::to_string(i);
  }
  EXPECT_THAT(lines_of(with(crashes)),
              Contains(::testing::ContainsRegex("and 3[0-9] more distinct hangs, see")));
  crashes.push_back(null_write());
  EXPECT_THAT(lines_of(with(crashes)),
              Contains(::testing::ContainsRegex(
                  "and 1 more distinct crash and 3[0-9] more distinct hangs, see")));
}

TEST(Summary, SaysWhenOurExitStatusIsAnother) {
  Session session = with({null_write()});
  session.outcome.exit_code = 0;
  EXPECT_THAT(lines_of(session, 70)[0],
              HasSubstr("the command exited with 0, crashcrawler-run exits with 70"));
  session.outcome.signal = SIGINT;
  EXPECT_THAT(lines_of(session, 130)[0], ::testing::EndsWith("the command was killed by SIGINT"));
}

TEST(Summary, SaysThatTheTimeWasOverAlsoWithoutACrash) {
  Session session = quiet_session();
  session.outcome.timed_out = std::chrono::milliseconds(1500);
  session.outcome.signal = SIGTERM;
  EXPECT_THAT(lines_of(session, 124),
              ::testing::ElementsAre(
                  "crashcrawler: 0 crashes in 5.2 s; the time of 1.5 s was over, the command was "
                  "killed by SIGTERM, crashcrawler-run exits with 124",
                  "crashcrawler: report: crashcrawler-out/report.json"));
}

TEST(Summary, ShowsACrashWithItsOwnFrames) {
  EXPECT_THAT(
      lines_of(with({null_write()})),
      ::testing::ElementsAre(
          StartsWith("crashcrawler: 1 crash"),
          "crashcrawler: 1. ./null_write --case 'two words': SIGSEGV: nothing is mapped at address "
          "0x0 (null pointer)",
          "crashcrawler:      store at src/store.h:3:5",
          "crashcrawler:      write_null(int*) at src/null_write.cpp:12:7",
          "crashcrawler:      middle() at src/null_write.cpp:20:7",
          "crashcrawler:      crashcrawler-out/crashes/0001-null_write-SIGSEGV.txt",
          "crashcrawler: report: crashcrawler-out/report.json"));
}

TEST(Summary, ShowsARecursionOnce) {
  const std::vector<std::string> lines = lines_of(with({stack_overflow()}));
  EXPECT_EQ(lines[2], "crashcrawler:      recurse(int) at src/deep.cpp:5:7");
  EXPECT_EQ(lines[3], "crashcrawler:      recurse(int) at src/deep.cpp:7:7");
  EXPECT_EQ(lines[4], "crashcrawler:      main at src/deep.cpp:11:7");
}

TEST(Summary, FallsBackToTheTopFrameWithoutOwnCode) {
  CrashReport report = failed_check();
  for (Frame& made : report.backtrace.threads[0].frames) {
    made.in_app = false;
    made.location = {};
  }
  EXPECT_THAT(lines_of(with({report})), Contains("crashcrawler:      check(bool) in check+0x1008"));
}

TEST(Summary, CountsFiveHundredEqualCrashesInOneLine) {
  std::vector<CrashReport> crashes(500, null_write());
  const std::vector<std::string> lines = lines_of(with(crashes));
  EXPECT_THAT(lines[0], HasSubstr("500 crashes (1 distinct)"));
  EXPECT_THAT(lines[1], ::testing::EndsWith("(null pointer)  x 500"));
  EXPECT_THAT(lines, SizeIs(7));
}

TEST(Summary, NeverExceedsTwentyFiveLines) {
  for (size_t distinct = 1; distinct < 40; ++distinct) {
    for (const bool troubled : {false, true}) {
      Session session = troubled ? busy_session() : quiet_session();
      session.crashes.clear();
      session.health.degraded.resize(troubled ? 10 : 0, "something is missing here");
      session.soft_errors.resize(troubled ? 10 : 0, "something went wrong");
      session.outcome.leftovers.resize(troubled ? 100 : 0);
      for (size_t i = 0; i < distinct; ++i) {
        session.crashes.push_back(null_write());
        session.crashes.back().signature.hash = std::to_string(i);
      }
      const std::vector<std::string> lines = lines_of(session);
      EXPECT_LE(lines.size(), 25u);
      EXPECT_THAT(lines.back(), HasSubstr("report: "));
      if (distinct == 39) {
        EXPECT_THAT(lines, Contains(::testing::ContainsRegex(
                               "and 3[0-9] more distinct crashes, see .*/report.json")));
      }
    }
  }
}

TEST(Summary, TellsEverythingThatWentWrong) {
  const std::vector<std::string> lines = lines_of(busy_session());
  EXPECT_THAT(lines, Contains(HasSubstr("2 processes outlived the command: sleep (4800), daemon")));
  EXPECT_THAT(lines, Contains(HasSubstr("INCOMPLETE: 2 deaths were seen but not captured")));
  EXPECT_THAT(lines, Contains(HasSubstr("1 crash is not complete (3 records lost)")));
  EXPECT_THAT(lines, Contains(HasSubstr("limited: no BPF iterator")));
  EXPECT_THAT(lines, Contains(HasSubstr("problem: a file of a crash could not be opened")));
}

TEST(Summary, SpeaksUpForTroubleWithoutACrash) {
  for (const auto spoil :
       {+[](Session& s) { s.health.lost_crashes = 1; }, +[](Session& s) { s.health.truncated = 1; },
        +[](Session& s) { s.health.degraded = {"x"}; }, +[](Session& s) { s.soft_errors = {"x"}; },
        +[](Session& s) { s.outcome.leftovers.resize(1); }}) {
    Session session = quiet_session();
    spoil(session);
    EXPECT_THAT(lines_of(session), SizeIs(3));
  }
}

TEST(Summary, WhatWasLostOfDeathsThatAreNotReportedIsNoCrash) {
  Session session = quiet_session();
  session.health.lost_records = 332;
  EXPECT_EQ(summary(session, kOutput, 8), "");
  session.crashes = {null_write(), failed_check()};
  session.crashes[1].raw.lost_records = 2;
  session.health.truncated = 1;
  EXPECT_THAT(lines_of(session), Contains(HasSubstr("1 crash is not complete (2 records lost)")));
}

TEST(Summary, IsPrintableAndPrefixedWhateverTheNames) {
  const std::vector<std::string> lines = lines_of(with({hostile_crash()}));
  EXPECT_THAT(lines, Each(StartsWith("crashcrawler: ")));
  for (const std::string& line : lines) {
    EXPECT_EQ(printable(line, Lines::one), line);
    EXPECT_LE(count_characters(line), 850u);
  }
}

}  // namespace
}  // namespace crashcrawler
