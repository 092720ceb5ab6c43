// Crashes and hangs on purpose: a suite of which GoogleTest writes nothing when a test dies.
#include <gtest/gtest.h>
#include <unistd.h>

static void store(int* volatile place) {
  *place = 1;
}

static void save(int* place) {
  store(place);
}

TEST(Score, Passes) {}

TEST(Score, Fails) {
  EXPECT_EQ(1, 2) << "one is <not> two";
}

TEST(Score, Skips) {
  GTEST_SKIP() << "not today";
}

TEST(Score, Dies) {
  EXPECT_DEATH(save(nullptr), "");
}

TEST(Score, Crashes) {
  save(nullptr);
}

TEST(Score, IsNeverReached) {}

TEST(Hang, Hangs) {
  for (;;) {
    pause();
  }
}
