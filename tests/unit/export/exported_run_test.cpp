#include <gmock/gmock.h>

#include "tests/unit/export/sample_report.h"

namespace crashcrawler {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TEST_F(ExportTest, OfACrashIsReadWhatOthersShow) {
  const ExportedCrash& read_crash = read(report({crash()})).crashes.at(0);
  EXPECT_EQ(title_of(read_crash), "SIGSEGV in shop, in test Shop.adds");
  EXPECT_EQ(read_crash.cause, "nothing is mapped at address 0x0 (null pointer)");
  EXPECT_EQ(read_crash.signature, "cc1:abc");
  EXPECT_EQ(read_crash.test_file, "tests/shop.cpp");
  EXPECT_EQ(read_crash.test_line, 7);
  std::vector<std::string> stack;
  for (const ExportedFrame& frame : read_crash.frames) {
    stack.push_back(frame_in_words(frame, stack.size()));
  }
  EXPECT_THAT(stack, ElementsAre("#0 libc.so.6+0x8aeec", "#1 sum at src/cart.cpp:12",
                                 "#2 Cart::total() at src/cart.cpp:30", "#3 main at main.cpp:5"));
  EXPECT_EQ(place_of(read_crash)->line, 12) << "the first frame in the sources";
}

TEST_F(ExportTest, OfTheRunIsReadHowItEndedAndWhatIsMissing) {
  Json json = report({});
  json["collector"]["health"] = {{"lost", 2}, {"degraded", {"no fentry"}}};
  json["soft_errors"] = {"one thing", 2, nullptr};
  const ExportedRun& run = read(json);
  EXPECT_EQ(run.command, "ctest -j4");
  EXPECT_EQ(run.ending, "exit status 8");
  EXPECT_THAT(run.warnings,
              ElementsAre("2 deaths were seen and not captured", "no fentry", "one thing"));
  json["run"]["exit"] = {{"signal", 6}};
  EXPECT_EQ(read(json).ending, "signal 6");
  json["run"]["timed_out"] = true;
  EXPECT_EQ(read(json).ending, "its time was over");
}

TEST_F(ExportTest, TheEventIsTheFirstSignalOrTheSanitizerOrTheKind) {
  Json json = crash();
  json["crash_info"]["first_signal"] = {{"name", "SIGFPE"}};
  EXPECT_EQ(read(report({json})).crashes[0].event, "SIGFPE");
  json["crash_info"] = {{"kind", "sanitizer"}, {"sanitizer", {{"tool", "LeakSanitizer"}}}};
  EXPECT_EQ(read(report({json})).crashes[0].event, "LeakSanitizer");
  json["crash_info"] = {{"kind", "hang"}};
  EXPECT_EQ(read(report({json})).crashes[0].event, "hang");
}

TEST_F(ExportTest, FilesElsewhereAreNotOfTheSources) {
  for (const char* file :
       {"/sourcesandmore/a.cpp", "/sources/../etc/passwd", "../a.cpp", "a.cpp", "/sources", ""}) {
    Json json = crash();
    json["threads"] = Json::array({{{"crashed", true}, {"frames", {frame("f", file, 3)}}}});
    EXPECT_EQ(place_of(read(report({json})).crashes[0]), nullptr) << file;
  }
}

TEST_F(ExportTest, ARelativeFileIsOfTheSourcesWhenItIsThere) {
  std::filesystem::create_directories(path + "/src");
  ASSERT_TRUE(write_file_atomically(path + "/src/a.cpp", "x"));
  std::filesystem::create_directories(path + "/out");
  Json json = crash();
  json["threads"] = Json::array({{{"crashed", true}, {"frames", {frame("f", "./src/a.cpp", 3)}}}});
  ASSERT_TRUE(write_file_atomically(path + "/out/report.json", report({json}).dump()));
  const ExportedRun run = read_run(path + "/out", {"/nowhere", path});
  ASSERT_NE(place_of(run.crashes.at(0)), nullptr);
  EXPECT_EQ(place_of(run.crashes[0])->file, "src/a.cpp");
}

TEST_F(ExportTest, TheSameCrashOfSeveralRunsIsOne) {
  runs.reserve(3);
  read(report({crash("a"), crash("b"), crash("a")}), "one");
  read(report({crash("a"), crash("")}), "two");
  const Export all = exported();
  ASSERT_EQ(all.groups.size(), 3u);
  EXPECT_EQ(all.counts.crashes, 5u);
  EXPECT_EQ(counts_in_words(all.counts), "5 crashes (3 distinct)");
  EXPECT_EQ(occurrence_in_words(all.groups[0], 2), "3 times, in one, in two");
  EXPECT_EQ(occurrence_in_words(all.groups[1], 2), "in one");
  EXPECT_EQ(occurrence_in_words(all.groups[2], 2), "in two")
      << "without a signature nothing is the same";
}

TEST_F(ExportTest, OfManyAttemptsTheirCountsAreTold) {
  Json json = report({crash("a"), crash("a")});
  json["attempts"] = {
      {"count", 20},
      {"passed", {{"count", 17}}},
      {"signatures", {{{"algorithm", "cc1"}, {"hash", "a"}, {"crashes", 40}, {"count", 3}}}}};
  read(json);
  const Export all = exported();
  EXPECT_EQ(all.counts.crashes, 40u) << "also those of which there is no record";
  EXPECT_EQ(occurrence_in_words(all.groups[0], 1), "40 times, in 3 of 20 attempts");
}

TEST_F(ExportTest, DeathsOnPurposeAreCountedApart) {
  Json wanted = crash();
  wanted["crash_info"]["expected"] = true;
  read(report({wanted, crash()}));
  EXPECT_EQ(counts_in_words(exported().counts), "1 crash, 1 more on purpose");
}

TEST_F(ExportTest, AFolderWithoutAReportIsTold) {
  runs.push_back(read_run(path + "/nothing", {}));
  EXPECT_THAT(runs[0].problem, HasSubstr("there is no report"));
  EXPECT_EQ(counts_in_words(exported().counts), "no crashes, 1 folder without a report");
}

TEST_F(ExportTest, LongStacksAreCutAndCounted) {
  Json json = crash();
  json["threads"] = Json::array({{{"crashed", true},
                                  {"elided_frames", 10},
                                  {"frames", std::vector<Json>(100, frame("f", "", 0))}}});
  const ExportedCrash& read_crash = read(report({json})).crashes[0];
  EXPECT_EQ(read_crash.frames.size() + read_crash.elided_frames, 110u);
  EXPECT_LT(read_crash.frames.size(), 100u);
}

TEST_F(ExportTest, ValuesOfOtherTypesAreLikeNone) {
  Json json = report({Json::object(), 1, Json::array({1}), nullptr});
  json["run"] = 3;
  json["attempts"] = Json::array();
  json["collector"]["health"] = "good";
  const ExportedRun& run = read(json);
  EXPECT_THAT(run.problem, IsEmpty());
  EXPECT_EQ(run.crashes.size(), 4u);
  Json bad = crash();
  bad["threads"] = {{"frames", 1}};
  bad["signature"] = "x";
  bad["test"] = {{"line", -1}};
  bad["crash_info"]["signal"] = Json::array();
  EXPECT_EQ(read(report({bad})).crashes[0].event, "signal");
}

}  // namespace
}  // namespace crashcrawler
