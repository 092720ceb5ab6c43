#include "runner/repro/plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

namespace crashcrawler {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

RecordedCrash crash() {
  RecordedCrash crash;
  crash.id = "0001-x";
  crash.fingerprint = {"a", "ab12"};
  crash.command = {"./suite", "--fast"};
  crash.program = "/build/x";
  crash.build_id = "01";
  crash.modules = {
      {"/build/x", "01", false}, {"/build/liby.so", "02", false}, {"/lib/z.so", "", true}};
  return crash;
}

TEST(AttemptsToMake, AreOneForACrashThatCameAtOnce) {
  const AttemptsToMake attempts = attempts_to_make(crash(), std::nullopt);
  EXPECT_EQ(attempts.number, 1);
}

TEST(AttemptsToMake, FollowTheRecordedRate) {
  const auto number = [](double rate) {
    RecordedCrash rare = crash();
    rare.least_rate = rate;
    const AttemptsToMake attempts = attempts_to_make(rare, std::nullopt);
    EXPECT_TRUE(attempts.until_same);
    return attempts.number;
  };
  EXPECT_EQ(number(1), 1);
  EXPECT_EQ(number(0.5), 5);     // 1 - 0.5^5 = 0.97
  EXPECT_EQ(number(0.01), 299);  // the "rule of three"
  EXPECT_EQ(number(0.0001), 1000);
  EXPECT_EQ(number(0), 1000);
}

TEST(AttemptsToMake, AreThoseThatWereAskedFor) {
  RecordedCrash rare = crash();
  rare.least_rate = 0.01;
  const AttemptsToMake attempts = attempts_to_make(rare, 7);
  EXPECT_EQ(attempts.number, 7);
  EXPECT_FALSE(attempts.until_same);
}

TEST(WrapperArguments, OfOneAttemptAreThoseOfAPlainRun) {
  EXPECT_THAT(wrapper_arguments(crash(), {1, true}, "/out"),
              ElementsAre("--output-dir", "/out", "--no-augment-junit", "--", "./suite", "--fast"));
}

TEST(WrapperArguments, BeginWithTheAttemptThatCrashed) {
  RecordedCrash race = crash();
  race.chaos = {5, 17, true};
  race.only = "Queue.Push";
  race.timeout = std::chrono::milliseconds(1500);
  EXPECT_THAT(wrapper_arguments(race, {300, true}, "/out"),
              ElementsAre("--output-dir", "/out", "--no-augment-junit", "--repeat", "300",
                          "--until-fingerprint", "ab12", "--chaos=5:17", "--timeout", "1500ms",
                          "--only", "Queue.Push", "--", "./suite", "--fast"));
  EXPECT_THAT(wrapper_arguments(race, {3, false}, "/out"),
              testing::Not(testing::Contains("--until-fingerprint")));
}

FilesNow compared(const std::map<std::string, std::string>& files) {
  return compare_files(crash(), [&](const std::string& path) {
    const auto found = files.find(path);
    return found == files.end() ? std::nullopt : std::optional(found->second);
  });
}

TEST(CompareFiles, SayNothingOfWhatIsTheSame) {
  const FilesNow files = compared({{"/build/x", "01"}, {"/build/liby.so", "02"}});
  EXPECT_EQ(files.program_problem, "");
  EXPECT_THAT(files.others, IsEmpty());  // of a file without a build-id nothing can be said
}

TEST(CompareFiles, NameBothBuildIdsOfAnotherProgram) {
  const FilesNow files = compared({{"/build/x", "0a"}, {"/build/liby.so", "02"}});
  EXPECT_THAT(files.program_problem, HasSubstr("/build/x had the build-id 01, now it is 0a"));
  EXPECT_FALSE(files.program_is_missing);
  EXPECT_THAT(compared({{"/build/x", ""}}).program_problem, HasSubstr("now it is none"));
}

TEST(CompareFiles, TellWhatIsMissing) {
  const FilesNow files = compared({});
  EXPECT_TRUE(files.program_is_missing);
  EXPECT_THAT(files.program_problem, HasSubstr("/build/x"));
  EXPECT_THAT(
      files.others,
      ElementsAre(HasSubstr("/build/liby.so had the build-id 02, now there is no such file")));
}

TEST(CompareFiles, MakeNamesPrintable) {
  RecordedCrash odd = crash();
  odd.program = "/build/\x1b[2J\n";
  const FilesNow files = compare_files(odd, [](const std::string&) { return std::nullopt; });
  EXPECT_EQ(files.program_problem.find_first_of("\x1b\n"), std::string::npos);
}

}  // namespace
}  // namespace crashcrawler
