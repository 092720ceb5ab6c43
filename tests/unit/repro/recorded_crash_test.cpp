#include "runner/repro/recorded_crash.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace crashcrawler {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const char* const kReport = R"({
  "run": {"command_args": ["ctest", "-j4"], "working_directory": "/build", "timeout_s": 1.5,
    "environment": {"LANG": "C"}, "limits": {"stack": {"soft": 4096, "hard": 8192}, "cpu": {}}, "aslr": false},
  "system_info": {"container_image": "ours"},
  "attempts": {"signatures": [{"hash": "other", "rate_low": 0.9}, {"hash": "ab12", "rate_low": 0.25}]}
})";
const char* const kCrash = R"({
  "id": "0001-x", "signature": {"algorithm": "a", "hash": "ab12"}, "only": "Queue.Push",
  "process": {"executable": {"path": "/build/x", "build_id": "01"}, "working_directory": "/build/tests"},
  "chaos": {"seed": 18446744073709551615, "attempt": 17, "settings": {"aslr": false}},
  "modules": [{"filename": "/build/x", "build_id": "01"}, {"filename": "[vdso]"},
    {"filename": "/usr/lib/libc.so.6", "build_id": "02", "package": {"name": "libc6"}}]
})";

Json changed(const char* text, const char* patch) {
  Json json = Json::parse(text);
  json.merge_patch(Json::parse(patch));
  return json;
}

TEST(RecordedCrash, ARateThatEndedWithTheFirstCrashIsNotBelieved) {
  const auto crash = recorded_crash(
      changed(kReport, R"({"attempts": {"ended_by": "crash", "count": 20}})"), Json::parse(kCrash));
  ASSERT_TRUE(crash);
  EXPECT_NEAR(*crash->least_rate, 0.00127, 0.00001) << "that it came in the 20th may be luck";
}

TEST(RecordedCrash, IsWhatBothFilesHold) {
  const auto crash = recorded_crash(Json::parse(kReport), Json::parse(kCrash));
  ASSERT_TRUE(crash);
  EXPECT_EQ(crash->id, "0001-x");
  EXPECT_EQ(crash->fingerprint, (Fingerprint{"a", "ab12"}));
  EXPECT_THAT(crash->command, ElementsAre("ctest", "-j4"));
  EXPECT_EQ(crash->working_directory, "/build");
  EXPECT_EQ(crash->process_directory, "/build/tests");
  EXPECT_EQ(crash->only, "Queue.Push");
  EXPECT_EQ(crash->timeout, std::chrono::milliseconds(1500));
  EXPECT_EQ(crash->program, "/build/x");
  EXPECT_EQ(crash->build_id, "01");
  EXPECT_EQ(crash->container_image, "ours");
  EXPECT_EQ(crash->least_rate, 0.25);
  ASSERT_EQ(crash->modules.size(), 2u);
  EXPECT_FALSE(crash->modules[0].is_packaged);
  EXPECT_TRUE(crash->modules[1].is_packaged);
  ASSERT_TRUE(crash->chaos);
  EXPECT_EQ(crash->chaos->seed, 18446744073709551615u);
  EXPECT_EQ(crash->chaos->number, 17);
  EXPECT_FALSE(crash->chaos->randomizes_addresses);
}

TEST(RecordedCrash, HasWhatTheCommandInherited) {
  const Inherited inherited = recorded_crash(Json::parse(kReport), Json::parse(kCrash))->inherited;
  ASSERT_EQ(inherited.environment.size(), 1u);
  EXPECT_EQ(inherited.environment[0].name + "=" + inherited.environment[0].value, "LANG=C");
  ASSERT_EQ(inherited.limits.size(), 2u);
  EXPECT_EQ(inherited.limits[0].name, "cpu");
  EXPECT_EQ(inherited.limits[0].soft, std::nullopt);
  EXPECT_EQ(inherited.limits[1].soft, 4096u);
  EXPECT_EQ(inherited.limits[1].hard, 8192u);
  EXPECT_FALSE(inherited.randomizes_addresses);
}

TEST(RecordedCrash, OfAnOlderReportLeavesThingsAsTheyAre) {
  const auto crash = recorded_crash(
      changed(kReport,
              R"({"run": {"environment": null, "limits": null, "aslr": null, "timeout_s": null},
                           "attempts": null, "system_info": null})"),
      changed(kCrash, R"({"chaos": null, "only": null})"));
  ASSERT_TRUE(crash);
  EXPECT_TRUE(crash->inherited.environment.empty() && crash->inherited.limits.empty());
  EXPECT_TRUE(crash->inherited.randomizes_addresses);
  EXPECT_FALSE(crash->chaos || crash->least_rate || crash->timeout);
}

TEST(RecordedCrash, IsRefusedWithoutWhatItTakes) {
  const auto error = [](const char* report, const char* crash) {
    const auto refused = recorded_crash(changed(kReport, report), changed(kCrash, crash));
    return refused ? "" : refused.error().message;
  };
  EXPECT_THAT(error("{}", R"({"signature": null})"), HasSubstr("no fingerprint"));
  EXPECT_THAT(error(R"({"run": {"command_args": []}})", "{}"), HasSubstr("which command"));
  EXPECT_THAT(error(R"({"run": {"command_args": [7]}})", "{}"), HasSubstr("which command"));
  EXPECT_THAT(error(R"({"run": {"working_directory": "."}})", "{}"), HasSubstr("in which folder"));
  EXPECT_THAT(error("{\"run\": {\"command_args\": [\"a\", \"\xef\xbf\xbd\"]}}", "{}"),
              HasSubstr("crashes/0001-x.repro.sh"));
}

TEST(RecordedCrash, TakesAnythingForAReport) {
  for (const char* odd : {"[]", "7", "null", R"({"run": []})",
                          R"({"run": {"environment": [1], "limits": [2]}, "attempts": 3})"}) {
    EXPECT_FALSE(recorded_crash(Json::parse(odd), Json::parse(kCrash))) << odd;
  }
  const auto crash = recorded_crash(
      changed(kReport, R"({"run": {"environment": {"A": 1}, "limits": {"cpu": 3}, "timeout_s": "x"},
                           "attempts": {"signatures": [1]}})"),
      changed(
          kCrash,
          R"({"modules": [3], "chaos": {"seed": -1, "attempt": -5, "settings": 1}, "process": 4})"));
  ASSERT_TRUE(crash);
  EXPECT_EQ(crash->inherited.environment.size(), 1u);
  EXPECT_EQ(crash->inherited.limits.size(), 2u);
  EXPECT_EQ(crash->chaos->number, 1);
  EXPECT_EQ(crash->least_rate, 0);
}

}  // namespace
}  // namespace crashcrawler
