#include "runner/report/stack.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/report/sample.h"

namespace crashcrawler {
namespace {

using ::testing::ElementsAre;

std::vector<std::string> functions(const std::vector<StackLine>& lines) {
  std::vector<std::string> names;
  for (const StackLine& line : lines) {
    names.push_back(line.function());
  }
  return names;
}

TEST(StackLines, ShowInlinedFunctionsAboveTheirFrame) {
  const CrashReport report = null_write();
  const std::vector<StackLine> lines = stack_lines(report.backtrace.threads[0]);
  EXPECT_EQ(lines[0].function(), "store");
  EXPECT_EQ(lines[1].function(), "std::vector<int>::at(unsigned long)");
  EXPECT_EQ(lines[2].function(), "write_null(int*)");
  EXPECT_EQ(lines[2].index, 0u);
  EXPECT_EQ(lines[3].index, 1u);
  EXPECT_EQ(lines[0].location().line, 3);
  EXPECT_EQ(lines[2].location().line, 12);
}

TEST(OwnLines, AreTheProgramsWithoutSystemHeaders) {
  const CrashReport report = null_write();
  EXPECT_THAT(functions(own_lines(report)),
              ElementsAre("store", "write_null(int*)", "middle()", "main"));
}

TEST(OwnLines, KeepSystemHeadersWhenThereIsNothingElse) {
  CrashReport report = null_write();
  std::vector<Frame>& frames = report.backtrace.threads[0].frames;
  frames = {frame("std::vector<int>::at(unsigned long)", "", 3)};
  frames[0].location.file = "/usr/include/c++/12/bits/stl_vector.h";
  EXPECT_THAT(functions(own_lines(report)), ElementsAre("std::vector<int>::at(unsigned long)"));
}

TEST(OwnLines, BeginWhereTheSignatureDoes) {
  // a static program: abort() is in the same file as everything else
  CrashReport report = failed_check();
  for (Frame& made : report.backtrace.threads[0].frames) {
    made.in_app = true;
  }
  EXPECT_EQ(functions(own_lines(report)).front(), "check(bool)");
  EXPECT_EQ(culprit(report)->function(), "check(bool)");
}

TEST(OwnLines, FindTheNormalisedNameOnlyAsAWord) {
  CrashReport report = failed_check();
  report.backtrace.threads[0].frames = {frame("output()", "a.cpp", 1),
                                        frame("void box<int>::put<char>(char)", "a.cpp", 2)};
  report.signature.frames = {"box::put"};
  EXPECT_THAT(functions(own_lines(report)), ElementsAre("void box<int>::put<char>(char)"));
  report.signature.frames = {"not there"};
  EXPECT_EQ(own_lines(report).size(), 2u);
}

TEST(Culprit, WithoutOwnCodeIsTheFirstThatIsNotMachinery) {
  CrashReport report = failed_check();
  for (Frame& made : report.backtrace.threads[0].frames) {
    made.in_app = false;
  }
  EXPECT_EQ(culprit(report)->function(), "check(bool)");
  report.backtrace.threads[0].frames.clear();
  EXPECT_FALSE(culprit(report));
  report.backtrace.threads.clear();
  EXPECT_FALSE(culprit(report));
}

TEST(FunctionText, OfANamelessFrameIsItsModuleOrAddress) {
  const CrashReport report = null_write();
  const std::vector<StackLine> lines = stack_lines(report.backtrace.threads[0]);
  const StackLine in_libc = lines[lines.size() - 2], nowhere = lines.back();
  EXPECT_EQ(function_text(in_libc, report.backtrace), "libc.so.6+0x1000");
  EXPECT_EQ(place_text(in_libc, report.backtrace, kDirectory), "");
  EXPECT_EQ(function_text(nowhere, report.backtrace), "0xdead0000 (in no module)");
  EXPECT_EQ(place_text(lines[0], report.backtrace, kDirectory), "src/store.h:3:5");
}

TEST(FunctionText, SurvivesAModuleIndexOutOfRange) {
  CrashReport report = null_write();
  report.backtrace.threads[0].frames = {frame("", "", 0, 99)};
  const StackLine line = stack_lines(report.backtrace.threads[0])[0];
  EXPECT_THAT(function_text(line, report.backtrace), ::testing::EndsWith("(in no module)"));
}

std::vector<Frame> frames_at(const std::vector<uint64_t>& addresses) {
  std::vector<Frame> frames;
  for (const uint64_t address : addresses) {
    frames.emplace_back().instruction_addr = address;
  }
  return frames;
}

TEST(Folded, LeavesAnOrdinaryStackAlone) {
  const std::vector<Fold> folds = folded(frames_at({1, 2, 3, 2, 3, 4}));
  EXPECT_EQ(folds.size(), 6u);
  for (const Fold& fold : folds) {
    EXPECT_EQ(fold.skipped, 0u);
  }
}

TEST(Folded, FoldsRecursion) {
  std::vector<uint64_t> addresses(212, 7);
  addresses.insert(addresses.begin(), 1);
  addresses.push_back(9);
  const std::vector<Fold> folds = folded(frames_at(addresses));
  ASSERT_EQ(folds.size(), 3u);
  EXPECT_EQ(folds[1].length, 1u);
  EXPECT_EQ(folds[1].skipped, 211u);
  EXPECT_EQ(folds[2].first, 213u);
}

TEST(Folded, FoldsCyclesWithAnUnfinishedTurn) {
  std::vector<uint64_t> addresses;
  for (uint64_t i = 0; i < 401; ++i) {
    addresses.push_back(i % 3);
  }
  const std::vector<Fold> folds = folded(frames_at(addresses));
  ASSERT_EQ(folds.size(), 1u);
  EXPECT_EQ(folds[0].length, 3u);
  EXPECT_EQ(folds[0].skipped, 398u);
}

}  // namespace
}  // namespace crashcrawler
