// Tables of address ranges: right ones of every shape, and others.
#include "runner/unwind/address_ranges.h"

#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <string>

namespace crashcrawler {
namespace {

class Table {
 public:
  Table& number(uint64_t value, size_t size) {
    bytes.append(reinterpret_cast<const char*>(&value), size);
    return *this;
  }
  std::string bytes;
};

// The set of one unit with 64-bit addresses, in the 32-bit format of DWARF.
std::string set_of(uint64_t unit, std::vector<std::pair<uint64_t, uint64_t>> ranges,
                   uint64_t version = 2, uint64_t segment = 0) {
  Table set;
  set.number(version, 2).number(unit, 4).number(8, 1).number(segment, 1).number(0, 4);
  ranges.push_back({0, 0});
  for (const auto& [start, size] : ranges) {
    set.number(start, 8).number(size, 8);
  }
  return Table().number(set.bytes.size(), 4).bytes + set.bytes;
}

TEST(AddressRanges, name_the_unit_of_an_address) {
  const AddressRanges ranges(set_of(0, {{0x1000, 0x10}, {0x3000, 1}}) + set_of(77, {{0x2000, 4}}));
  EXPECT_EQ(ranges.unit_of(0x1000), 0u);
  EXPECT_EQ(ranges.unit_of(0x100f), 0u);
  EXPECT_EQ(ranges.unit_of(0x3000), 0u);
  EXPECT_EQ(ranges.unit_of(0x2003), 77u);
  for (const uint64_t address : {uint64_t{0}, uint64_t{0xfff}, uint64_t{0x1010}, uint64_t{0x2004},
                                 uint64_t{0x3001}, ~uint64_t{0}}) {
    EXPECT_FALSE(ranges.unit_of(address)) << address;
  }
}

TEST(AddressRanges, are_read_in_all_widths) {
  Table narrow;  // 32-bit addresses: tuples of 8 bytes, behind 12 of header
  narrow.number(2 + 4 + 2 + 4 + 16, 4).number(2, 2).number(5, 4).number(4, 1).number(0, 1);
  narrow.number(0, 4).number(0x8000, 4).number(16, 4).number(0, 8);
  EXPECT_EQ(AddressRanges(narrow.bytes).unit_of(0x800f), 5u);

  Table wide;  // the 64-bit format: 24 bytes of header and 8 to the next multiple of 16
  wide.number(0xffffffff, 4).number(2 + 8 + 2 + 8 + 32, 8).number(2, 2).number(6, 8).number(8, 1);
  wide.number(0, 1).number(0, 8).number(0x9000, 8).number(16, 8).number(0, 8).number(0, 8);
  EXPECT_EQ(AddressRanges(wide.bytes).unit_of(0x9001), 6u);
}

TEST(AddressRanges, end_at_what_makes_no_sense) {
  const std::string good = set_of(1, {{0x1000, 16}}), more = set_of(2, {{0x2000, 16}});
  for (const std::string& bad : {set_of(9, {{0x5000, 16}}, 3), set_of(9, {{0x5000, 16}}, 2, 4),
                                 std::string("\xff\xff\xff\x7f", 4), std::string("x")}) {
    const AddressRanges ranges(good + bad + more);
    EXPECT_EQ(ranges.unit_of(0x1000), 1u);
    EXPECT_FALSE(ranges.unit_of(0x2000));
    EXPECT_FALSE(ranges.unit_of(0x5000));
  }
  EXPECT_FALSE(AddressRanges(set_of(1, {{~uint64_t{0} - 3, 16}})).unit_of(~uint64_t{0} - 2));
  EXPECT_FALSE(AddressRanges("").unit_of(0));
}

TEST(AddressRanges, survive_every_cut_and_turned_bytes) {
  const std::string whole = set_of(1, {{0x1000, 16}}) + set_of(2, {{0x2000, 16}, {0x4000, 64}});
  for (size_t length = 0; length < whole.size(); ++length) {
    const auto unit = AddressRanges(whole.substr(0, length)).unit_of(0x1000);
    EXPECT_TRUE(!unit || *unit == 1);
  }
  std::mt19937 random(1);
  for (int round = 0; round < 5000; ++round) {
    std::string broken = whole;
    broken[random() % broken.size()] = static_cast<char>(random());
    AddressRanges(broken).unit_of(0x2008);
  }
}

}  // namespace
}  // namespace crashcrawler
