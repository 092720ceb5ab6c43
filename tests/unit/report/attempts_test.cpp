#include "runner/report/attempts.h"

#include <gtest/gtest.h>

namespace crashcrawler {
namespace {

Session session_of(int attempts) {
  Session session;
  session.repetition.emplace();
  for (int number = 1; number <= attempts; ++number) {
    session.repetition->attempts.push_back({});
    session.repetition->attempts.back().number = number;
  }
  return session;
}

void add_crash(Session& session, int attempt, const std::string& hash) {
  CrashReport& crash = session.crashes.emplace_back();
  crash.raw.attempt = attempt;
  crash.raw.place = "place of " + hash;
  crash.signature = {"rules", hash, {}};
}

// The values of the interval are those of R's prop.test(x, n, correct = FALSE).
TEST(Attempts, WilsonsInterval) {
  const Interval tenth = wilson(1, 10);
  EXPECT_NEAR(tenth.low, 0.01787621, 1e-7);
  EXPECT_NEAR(tenth.high, 0.40415002, 1e-7);
  const Interval none = wilson(0, 300);
  EXPECT_EQ(none.low, 0);
  EXPECT_NEAR(none.high, 0.01264299, 1e-5);
  EXPECT_EQ(wilson(5, 5).high, 1);
  EXPECT_EQ(wilson(0, 0).low, 0);
  EXPECT_EQ(wilson(0, 0).high, 1);
}

TEST(Attempts, AreCountedOnceHoweverManyCrashesTheyHave) {
  Session session = session_of(10);
  add_crash(session, 2, "a");
  add_crash(session, 2, "a");
  add_crash(session, 2, "b");
  add_crash(session, 5, "a");
  session.repetition->attempts[6].exit_code = 1;
  session.repetition->attempts[7].timed_out = std::chrono::seconds(1);
  session.repetition->attempts[9].interrupted = true;
  session.repetition->further = {{"place of a", 9}, {"place of nothing", 3}};
  const AttemptCounts counts = count_attempts(session);
  EXPECT_EQ(counts.all, 9u);
  EXPECT_EQ(counts.crashed, 3u);
  EXPECT_EQ(counts.failed, 2u);
  EXPECT_EQ(counts.passed, 4u);
  EXPECT_EQ(counts.interrupted, 1u);
  EXPECT_EQ(counts.not_kept, 1u);
  ASSERT_EQ(counts.signatures.size(), 2u);
  EXPECT_EQ(counts.signatures[0].attempts, (std::set<int>{2, 5, 9}));
  EXPECT_EQ(counts.signatures[0].times, 4u);
}

TEST(Attempts, ShareInWords) {
  EXPECT_EQ(share_in_words(3, 200), "3 of 200, 1.5 % (95 %: 0.51 to 4.3 %)");
  EXPECT_EQ(share_in_words(0, 300), "0 of 300, 0 % (95 %: 0 to 1.3 %)");
}

TEST(Attempts, ATestThatCrashesInAllIsNotFlaky) {
  Session session = session_of(2);
  add_crash(session, 1, "a");
  add_crash(session, 2, "b");
  for (CrashReport& crash : session.crashes) {
    crash.test.name = "same";
  }
  const AttemptCounts counts = count_attempts(session);
  EXPECT_FALSE(passed_elsewhere(counts.signatures[0].crash, counts, session));
  session.crashes[1].test.name = "other";
  EXPECT_TRUE(passed_elsewhere(counts.signatures[0].crash, counts, session));
}

}  // namespace
}  // namespace crashcrawler
