// .debug_aranges: which compilation unit has the code at an address.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace crashcrawler {

// The table of one file (DWARF 5, 6.1.2; the same in versions 2 to 4). libdw's own reader asks every unit that the table names
// for its header, which would have all of .debug_info inflated.
class AddressRanges {
 public:
  // `section`: its bytes, of a little-endian file. What cannot be made sense of ends the table.
  explicit AddressRanges(std::string_view section);

  // Offset in .debug_info of the header of the unit with `address` (an ELF virtual address); nullopt: the table has none.
  // Compilers and assemblers may leave units out.
  std::optional<uint64_t> unit_of(uint64_t address) const;

 private:
  struct Range {
    uint64_t start, end, unit;
  };
  std::vector<Range> ranges_;  // by start
};

}  // namespace crashcrawler
