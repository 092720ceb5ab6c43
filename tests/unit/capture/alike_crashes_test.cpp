#include "runner/capture/alike_crashes.h"

#include <gtest/gtest.h>

namespace crashcrawler {
namespace {

// Crashed at offset 0x123 of the library, wherever that lies.
RawCrash crash_at(uint64_t base, uint64_t offset = 0x123) {
  RawCrash crash;
  crash.executable = "/bin/x";
  crash.signal.number = 11;
  crash.threads.resize(2);
  crash.threads[1].crashed = true;
  crash.threads[1].registers.rip = base + offset;
  crash.threads[1].stack = {{base, "stack"}};
  Mapping mapping;
  mapping.start = base;
  mapping.end = base + 0x1000;
  mapping.path = "/lib/y.so";
  crash.mappings = {mapping};
  return crash;
}

TEST(AlikeCrashes, OfOnePlaceTheFirstAreKept) {
  AlikeCrashes alike;
  alike.keep_whole(2);
  for (const uint64_t base : {0x10000, 0x20000}) {
    RawCrash crash = crash_at(base);
    EXPECT_TRUE(alike.is_wanted_whole(crash));
    EXPECT_FALSE(crash.place.empty());
  }
  RawCrash third = crash_at(0x30000), elsewhere = crash_at(0x30000, 0x124);
  EXPECT_FALSE(alike.is_wanted_whole(third));
  EXPECT_TRUE(alike.is_wanted_whole(elsewhere));
  abridge(third);
  EXPECT_TRUE(third.abridged);
  EXPECT_TRUE(third.threads.empty() && third.mappings.empty());
  EXPECT_EQ(third.threads.capacity() + third.mappings.capacity(), 0u) << "there may be 100,000";
  EXPECT_EQ(third.place, place_of(crash_at(0x40000)));
}

TEST(AlikeCrashes, ACopyInAnotherFolderIsTheSamePlace) {
  RawCrash crash = crash_at(0x10000);
  const std::string place = place_of(crash);
  crash.executable = "/tmp/1/x";
  crash.mappings[0].path = "/tmp/1/y.so";
  EXPECT_EQ(place_of(crash), place);
  crash.mappings[0].end += 0x1000;
  EXPECT_NE(place_of(crash), place) << "more code: another program of that name";
}

TEST(AlikeCrashes, WithoutALimitNothingIsCounted) {
  AlikeCrashes alike;
  for (int i = 0; i < 1000; ++i) {
    RawCrash crash = crash_at(0x10000);
    EXPECT_TRUE(alike.is_wanted_whole(crash));
  }
}

TEST(AlikeCrashes, OtherSignalsAndProgramsAreOtherPlaces) {
  RawCrash crash = crash_at(0x10000);
  const std::string place = place_of(crash);
  crash.signal.number = 6;
  EXPECT_NE(place_of(crash), place);
  crash = crash_at(0x10000);
  crash.executable = "/bin/z";
  EXPECT_NE(place_of(crash), place);
  crash = crash_at(0x10000);
  crash.threads[1].registers.rip = 0xdead0000;  // nowhere, which is another address each time
  const std::string nowhere = place_of(crash);
  crash.threads[1].registers.rip = 0xdead1000;
  EXPECT_EQ(place_of(crash), nowhere);
}

}  // namespace
}  // namespace crashcrawler
