// Which function, inlined functions and source line the DWARF of one file gives for an address.
#pragma once

#include <elfutils/libdw.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "runner/model/backtrace.h"
#include "runner/unwind/address_ranges.h"
#include "runner/unwind/die_name.h"
#include "runner/unwind/inflated_file.h"

namespace crashcrawler {

struct DebugLocation {
  FunctionName function;                 // empty names: only the line is known
  std::optional<uint64_t> range_start;   // of the piece of the function that holds the address
  SourceLocation location;               // in `function`
  std::vector<InlinedFunction> inlines;  // innermost first
};

class DebugInfo {
 public:
  // Null: a file without debug information; nothing is ever found.
  // `folder`: see folder_of().
  // `inflated`: what `dwarf` reads, when it has to be inflated on the way; else null.
  explicit DebugInfo(Dwarf* dwarf, std::string folder = "", InflatedFile* inflated = nullptr)
      : dwarf_(dwarf), folder_(std::move(folder)), inflated_(inflated) {}

  std::optional<DebugLocation> find(uint64_t address);

  // What was wrong so far; empty: nothing.
  const std::string& complaint() const { return complaint_; }

 private:
  struct Range {
    uint64_t start, end;
    Dwarf_Die die;
  };
  // Functions of one compilation unit, by start; filled in two steps because the second one reads
  // every DIE.
  struct Unit {
    Dwarf_Die die;   // knows the lines
    Dwarf_Die tree;  // knows the functions: of the .dwo file where there is one, else `die`
    std::vector<Range> functions;
    bool looked_at_top = false, looked_inside = false;
  };

  Unit* unit_of(uint64_t address);
  std::optional<Dwarf_Die> inflated_unit_of(uint64_t address);
  bool inflate(InflatedFile::Section section, uint64_t end);
  bool inflate_lines(Dwarf_Die* unit);
  Unit* unit_at(const Dwarf_Die& die);
  void map_all_units();
  const Range* function_of(Unit& unit, uint64_t address);
  void collect_functions(Unit& unit, bool inside);
  void describe(Unit& unit, const Range& function, uint64_t address, DebugLocation& result);

  Dwarf_Die tree_of(const Dwarf_Die& unit);
  void complain(const char* what);

  Dwarf* dwarf_;
  std::string folder_, complaint_;
  InflatedFile* inflated_;
  std::optional<AddressRanges> ranges_;  // of inflated_, from the first question on
  std::map<Dwarf_Off, Unit> units_;
  std::vector<Range> unit_ranges_;  // of every unit, by start
  bool mapped_all_units_ = false;
};

}  // namespace crashcrawler
