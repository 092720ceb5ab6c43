#include "runner/unwind/address_space.h"

#include <gtest/gtest.h>

namespace crashcrawler {
namespace {

RawCrash crash_with(std::vector<MemoryRange> first, std::vector<MemoryRange> second = {}) {
  RawCrash crash;
  crash.threads.resize(2);
  crash.threads[0].stack = std::move(first);
  crash.threads[1].stack = std::move(second);
  return crash;
}

TEST(AddressSpace, reads_little_endian_numbers_of_every_size) {
  const RawCrash crash = crash_with({{0x1000, "\x01\x02\x03\x04\x05\x06\x07\x88"}});
  const AddressSpace memory(crash);
  EXPECT_EQ(memory.read_number(0x1000, 8), 0x8807060504030201u);
  EXPECT_EQ(memory.read_number(0x1002, 4), 0x06050403u);
  EXPECT_EQ(memory.read_number(0x1007, 1), 0x88u);
}

TEST(AddressSpace, says_nothing_about_what_was_not_captured) {
  const RawCrash crash = crash_with({{0x1000, std::string(16, 'x')}});
  const AddressSpace memory(crash);
  EXPECT_FALSE(memory.read_number(0xfff, 1));
  EXPECT_FALSE(memory.read_number(0x100c, 8)) << "half of it lies behind the end";
  EXPECT_FALSE(memory.read_number(0x1010, 1));
  EXPECT_FALSE(memory.read_number(0x1000, 9));
  EXPECT_FALSE(memory.read_number(~uint64_t{0}, 8));
}

TEST(AddressSpace, knows_the_stacks_of_all_threads) {
  const RawCrash crash = crash_with({{0x5000, "abcd"}, {0x7000, "efgh"}}, {{0x6000, "ijkl"}});
  const AddressSpace memory(crash);
  EXPECT_EQ(memory.read(0x5002, 100), "cd");
  EXPECT_EQ(memory.read(0x6000, 2), "ij");
  EXPECT_EQ(memory.read(0x7003, 1), "h");
}

TEST(AddressSpace, falls_back_to_the_bytes_of_files) {
  const RawCrash crash = crash_with({{0x5000, "live"}});
  AddressSpace memory(crash);
  memory.add_file_bytes(0x9000, "second");
  memory.add_file_bytes(0x5000, "from the file");
  EXPECT_EQ(memory.read(0x9000, 3), "sec");
  EXPECT_EQ(memory.read(0x5000, 4), "live") << "what was captured is the truth";
  EXPECT_EQ(memory.read(0x5005, 3), "the");
}

TEST(Hex, has_a_prefix_and_no_padding) {
  EXPECT_EQ(hex(0x7f00beef), "0x7f00beef");
}

}  // namespace
}  // namespace crashcrawler
