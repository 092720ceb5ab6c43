// Walks over stacks that were overwritten: by the program itself, or here.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "tests/unit/unwind/programs.h"
#include "tests/unit/unwind/walk.h"

namespace crashcrawler {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;
using tests::crash_of;
using tests::kInner;
using tests::kMiddle;
using tests::kRun;
using tests::LiveSnapshot;
using tests::place_of_word;
using tests::set_word;
using tests::Walk;

TEST(DamagedStack, is_reported_and_scanned) {
  for (const char* name : {"optimised", "plain"}) {
    SCOPED_TRACE(name);
    const Walk walk(crash_of(name, "smash"));
    EXPECT_THAT(walk.functions(3), ElementsAre("shop::smash()", kRun, "main"))
        << "call_smash() is lost: its return address was overwritten";
    ASSERT_GE(walk.result.frames.size(), 3u);
    EXPECT_EQ(walk.result.frames[1].trust, Trust::scan);
    EXPECT_EQ(walk.result.stop_reason, "end of stack");
    ASSERT_THAT(walk.result.soft_errors, testing::SizeIs(1));
    EXPECT_THAT(walk.result.soft_errors[0],
                StartsWith("frame 0: its return address 0x4141414141414141 points to no code"));
  }
}

TEST(DamagedStack, is_scanned_above_the_frame_whose_return_address_is_lost) {
  LiveSnapshot snapshot = crash_of("optimised", "null_write");
  const Walk whole(snapshot);
  ASSERT_GE(whole.result.frames.size(), 5u);
  // middle() is left with a wild return address, and with an older one in its own room below it
  const uint64_t place = place_of_word(snapshot, whole.result.frames[2].pc);
  set_word(snapshot, place, 0x1234);
  set_word(snapshot, place - 8, whole.result.frames[4].pc);
  EXPECT_THAT(Walk(snapshot).functions(4), ElementsAre(kInner, kMiddle, kRun, "main"));
}

TEST(DamagedStack, ends_at_a_null_return_address) {
  LiveSnapshot snapshot = crash_of("optimised", "null_write");
  const Walk whole(snapshot);
  set_word(snapshot, place_of_word(snapshot, whole.result.frames[2].pc), 0);
  const Walk walk(snapshot);
  EXPECT_THAT(walk.functions(2), ElementsAre(kInner, kMiddle));
  EXPECT_EQ(walk.result.frames.size(), 2u);
  EXPECT_EQ(walk.result.stop_reason, "end of stack");
}

TEST(DamagedStack, ends_when_a_frame_pointer_leads_back) {
  LiveSnapshot snapshot = crash_of("plain", "null_write");
  const Walk whole(snapshot);
  // The frame pointer that middle() has saved becomes that of middle() itself: its frame is its own caller, for ever.
  const uint64_t frame = place_of_word(snapshot, whole.result.frames[2].pc) - 8;
  set_word(snapshot, frame, frame);
  const Walk walk(snapshot, 100000);
  EXPECT_LT(walk.result.frames.size(), 100u);
  EXPECT_EQ(walk.result.stop_reason, "frame did not advance");
}

TEST(DamagedStack, is_not_left_by_a_wild_frame_pointer) {
  LiveSnapshot snapshot = crash_of("plain", "null_write");
  snapshot.crash.threads[0].registers.rbp = 0x4141414141414141;
  const Walk walk(snapshot);
  ASSERT_GE(walk.result.frames.size(), 3u);
  EXPECT_EQ(walk.function(1), kMiddle);
  EXPECT_EQ(walk.result.frames[1].trust, Trust::scan);
  ASSERT_FALSE(walk.result.soft_errors.empty());
  EXPECT_THAT(walk.result.soft_errors[0], HasSubstr("0x4141414141414149, outside the stack"));
}

TEST(DamagedStack, ends_the_walk_whatever_it_holds) {
  std::mt19937_64 random(7);
  for (const char* name : {"optimised", "plain", "no_table", "frame_pointers"}) {
    const LiveSnapshot original = crash_of(name, "null_write", SIGSEGV, 4096);
    const uint64_t pc = original.crash.threads[0].registers.rip;
    for (int round = 0; round < 300; ++round) {
      LiveSnapshot spoilt;
      spoilt.crash = original.crash;
      RawThread& thread = spoilt.crash.threads[0];
      for (MemoryRange& range : thread.stack) {
        for (int i = 0; i < 40; ++i) {
          // garbage, addresses of code and of the stack itself
          const uint64_t values[] = {random(), pc + random() % 4096,
                                     range.address + random() % range.bytes.size()};
          const size_t at = random() % (range.bytes.size() / 8) * 8;
          std::memcpy(range.bytes.data() + at, &values[random() % 3], 8);
        }
      }
      if (round % 3 == 0) {
        thread.registers.rbp = thread.registers.rsp + random() % 4096;
      }
      if (round % 5 == 0) {
        thread.registers.rsp = random();
      }
      const Walk walk(spoilt, 64);
      ASSERT_LE(walk.result.frames.size(), 64u);
      ASSERT_FALSE(walk.result.stop_reason.empty());
    }
  }
}

}  // namespace
}  // namespace crashcrawler
