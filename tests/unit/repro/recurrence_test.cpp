#include "runner/repro/recurrence.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace crashcrawler {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

const Fingerprint kWanted{"a", "ab12cd34ef"};

Json crash(const std::string& id, const std::string& hash, int attempt,
           const std::string& algorithm = "a") {
  return {{"id", id},
          {"attempt", attempt},
          {"crash_info", {{"cause", "it died"}}},
          {"signature", {{"algorithm", algorithm}, {"hash", hash}}}};
}

Json report(const Json& crashes) {
  return {{"crashes", crashes},
          {"collector", {{"backend", "bpf"}, {"health", {{"complete", true}}}}}};
}

TEST(Recurrence, OfOneRunIsOneAttempt) {
  const Recurrence seen = recurrence_of(
      report(Json::array({crash("1", kWanted.hash, 0), crash("2", kWanted.hash, 0)})), kWanted);
  EXPECT_EQ(seen.attempts, 1u);
  EXPECT_EQ(seen.same, 1u);
  EXPECT_EQ(seen.same_id, "1");
  EXPECT_THAT(
      in_words(seen, kWanted, "/out"),
      ElementsAre(
          "the same crash (fingerprint ab12cd34) came back in 1 of 1 attempt: /out/crashes/1.txt"));
}

TEST(Recurrence, CountsAttemptsNotCrashes) {
  Json json = report({crash("1", kWanted.hash, 3), crash("2", kWanted.hash, 3),
                      crash("3", kWanted.hash, 5), crash("4", "ffffffff00", 9)});
  json["attempts"] = {
      {"count", 20},
      {"signatures", {{{"algorithm", "a"}, {"hash", kWanted.hash}, {"attempts", {3, 5, 6}}}}}};
  const Recurrence seen = recurrence_of(json, kWanted);
  EXPECT_EQ(seen.same, 3u);  // of one no record was kept
  EXPECT_THAT(
      in_words(seen, kWanted, "/out"),
      ElementsAre(
          HasSubstr("came back in 3 of 20 attempts"),
          "another crash (fingerprint ffffffff) in 1 of 20 attempts: it died: /out/crashes/4.txt"));
}

TEST(Recurrence, SaysWhatCameInstead) {
  const Recurrence other =
      recurrence_of(report(Json::array({crash("1", "ffffffff00", 0)})), kWanted);
  EXPECT_THAT(in_words(other, kWanted, "/out"),
              ElementsAre(HasSubstr("did not come back in 1 attempt; another came instead"),
                          HasSubstr("ffffffff")));
  const Recurrence none = recurrence_of(report(Json::array()), kWanted);
  EXPECT_THAT(in_words(none, kWanted, "/out"),
              ElementsAre(HasSubstr("no crash came in 1 attempt")));
}

TEST(Recurrence, ComparesHashesOfOneAlgorithmOnly) {
  EXPECT_EQ(recurrence_of(report(Json::array({crash("1", kWanted.hash, 0, "b")})), kWanted).same_id,
            "");
}

TEST(Recurrence, NamesTenOthersAtMost) {
  Json crashes = Json::array();
  for (int i = 0; i < 30; ++i) {
    crashes.push_back(crash(std::to_string(i), "other" + std::to_string(i), 0));
  }
  const auto lines = in_words(recurrence_of(report(crashes), kWanted), kWanted, "/out");
  EXPECT_EQ(lines.size(), 12u);
  EXPECT_EQ(lines.back(), "and 20 others");
}

TEST(Recurrence, KnowsARunThatSaysNothing) {
  Json json = report(Json::array());
  json["collector"]["health"]["complete"] = false;
  json["attempts"] = {{"count", 3}, {"ended_by", "interrupt"}};
  const Recurrence seen = recurrence_of(json, kWanted);
  EXPECT_FALSE(seen.is_complete);
  EXPECT_TRUE(seen.was_interrupted);
  EXPECT_EQ(recurrence_of(Json::array(), kWanted).same_id, "");
}

TEST(DifferentFiles, AreNamedWithBothBuildIds) {
  RecordedCrash recorded;
  recorded.modules = {
      {"/x", "01", false}, {"/y", "02", false}, {"/z", "", false}, {"/gone", "04", false}};
  const Json again = {{"modules",
                       {{{"filename", "/x"}, {"build_id", "01"}},
                        {{"filename", "/y"}, {"build_id", "0a"}},
                        {{"filename", "/z"}, {"build_id", "03"}},
                        {{"filename", "/new"}, {"build_id", "05"}}}}};
  EXPECT_THAT(different_files(recorded, again),
              ElementsAre("not as it was: /y had the build-id 02, there it is 0a"));
  EXPECT_THAT(different_files(recorded, Json()), IsEmpty());
}

}  // namespace
}  // namespace crashcrawler
