// The way down: address -> compilation unit -> function -> chain of inlined functions -> line.
//
// Units are found through .debug_aranges, which costs nothing to build. Clang does not write that
// table and assemblers write it only for some files, so an address it misses is looked up in a map
// of the ranges of all units, made once. Functions are collected once for each unit that is
// touched: first those that lie directly in it, in namespaces and in classes, which needs no look
// into function bodies; only when that misses (nested functions, local classes of some compilers)
// every DIE. libdw's dwarf_getscopes() would do the same walk anew for every address, and
// recursively, on a tree whose depth the file decides.
//
// The walks go forward only: an offset that does not grow ends them, so that a ring in a broken
// file does too.
#include "runner/unwind/debug_info.h"

#include <dwarf.h>

#include <algorithm>
#include <cstring>

#include "runner/unwind/debug_files.h"
#include "runner/unwind/source_path.h"

namespace crashcrawler {

namespace {

constexpr size_t kMostUnits = 1u << 20;
constexpr size_t kMostDies = 1u << 24;  // of one unit
constexpr size_t kDeepestDie = 128;
constexpr size_t kMostRanges = 1u << 16;  // of one DIE
constexpr size_t kMostInlines = 128;
constexpr size_t kMostAbbreviations = 1u << 16;  // of one unit

template <typename Sink>
void for_each_range(Dwarf_Die* die, const Sink& sink) {
  Dwarf_Addr base = 0, start = 0, end = 0;
  ptrdiff_t next = 0;
  for (size_t i = 0; i < kMostRanges; ++i) {
    next = dwarf_ranges(die, next, &base, &start, &end);
    if (next <= 0) {
      return;
    }
    if (start < end) {
      sink(start, end);
    }
  }
}

bool next_sibling(Dwarf_Die* die) {
  Dwarf_Die next;
  if (dwarf_siblingof(die, &next) != 0 || dwarf_dieoffset(&next) <= dwarf_dieoffset(die)) {
    return false;
  }
  *die = next;
  return true;
}

bool holds_functions(int tag, bool inside) {
  switch (tag) {
    case DW_TAG_namespace:
    case DW_TAG_module:
    case DW_TAG_class_type:
    case DW_TAG_structure_type:
    case DW_TAG_union_type:
      return true;
    case DW_TAG_subprogram:
    case DW_TAG_lexical_block:
      return inside;
    default:
      return false;
  }
}

const char* string_attribute(Dwarf_Die* die, unsigned code) {
  Dwarf_Attribute attribute;
  const char* text = dwarf_formstring(dwarf_attr_integrate(die, code, &attribute));
  return text != nullptr ? text : "";
}

uint64_t number_attribute(Dwarf_Die* die, unsigned code) {
  Dwarf_Attribute attribute;
  Dwarf_Word value = 0;
  return dwarf_formudata(dwarf_attr(die, code, &attribute), &value) == 0 ? value : 0;
}

int small_number(uint64_t value) {
  return value <= 0x7fffffff ? static_cast<int>(value) : 0;
}

SourceLocation line_of(Dwarf_Die* unit, uint64_t address) {
  SourceLocation location;
  Dwarf_Line* line = dwarf_getsrc_die(unit, address);
  const char* file = line != nullptr ? dwarf_linesrc(line, nullptr, nullptr) : nullptr;
  if (file == nullptr) {
    return location;
  }
  location.file = absolute_source_path(string_attribute(unit, DW_AT_comp_dir), file);
  dwarf_lineno(line, &location.line);
  dwarf_linecol(line, &location.column);
  return location;
}

// Where the caller stood when it "called" the inlined function.
// `directory`: the compilation directory, which a .dwo file need not repeat.
SourceLocation call_site_of(Dwarf_Die* unit, const char* directory, Dwarf_Die* inlined) {
  SourceLocation location;
  Dwarf_Files* files = nullptr;
  size_t count = 0;
  const uint64_t index = number_attribute(inlined, DW_AT_call_file);
  if (dwarf_getsrcfiles(unit, &files, &count) == 0 && index < count) {
    if (const char* file = dwarf_filesrc(files, index, nullptr, nullptr)) {
      location.file = absolute_source_path(directory, file);
    }
  }
  location.line = small_number(number_attribute(inlined, DW_AT_call_line));
  location.column = small_number(number_attribute(inlined, DW_AT_call_column));
  return location;
}

// The inlined functions that hold `address`, outermost first.
std::vector<Dwarf_Die> inlined_at(const Dwarf_Die& function, uint64_t address) {
  std::vector<Dwarf_Die> chain;
  Dwarf_Die level = function, die;
  for (size_t depth = 0; depth < kDeepestDie && dwarf_child(&level, &die) == 0; ++depth) {
    bool found = false;
    do {
      const int tag = dwarf_tag(&die);
      const bool scope = tag == DW_TAG_inlined_subroutine || tag == DW_TAG_lexical_block ||
                         tag == DW_TAG_try_block || tag == DW_TAG_catch_block;
      found = scope && dwarf_haspc(&die, address) > 0;
    } while (!found && next_sibling(&die));
    if (!found || chain.size() == kMostInlines) {
      break;
    }
    if (dwarf_tag(&die) == DW_TAG_inlined_subroutine) {
      chain.push_back(die);
    }
    level = die;
  }
  return chain;
}

// Whether an entry of the unit may refer to one of another unit. Its abbreviations say so.
bool leads_to_other_units(Dwarf_Die* unit) {
  Dwarf_Off offset = 0;
  for (size_t seen = 0; seen < kMostAbbreviations; ++seen) {
    size_t length = 0;
    Dwarf_Abbrev* abbreviation = dwarf_getabbrev(unit, offset, &length);
    if (abbreviation == DWARF_END_ABBREV) {
      return false;
    }
    if (abbreviation == nullptr) {
      return true;
    }
    // Up to the one that is not there: dwarf_getattrcnt() of elfutils 0.188 miscounts where there are implicit constants.
    unsigned name = 0, form = 0;
    for (size_t i = 0; dwarf_getabbrevattr(abbreviation, i, &name, &form, nullptr) == 0; ++i) {
      if (form == DW_FORM_ref_addr || form == DW_FORM_ref_sig8 || form == DW_FORM_indirect) {
        return true;
      }
    }
    offset += length;
  }
  return true;
}

// What the section has in the file, or rather in the memory where `elf` is; empty: there is none.
std::string_view section_bytes(Elf* elf, std::string_view name) {
  Elf_Scn* section = find_section(elf, name);
  const Elf_Data* data = section != nullptr ? elf_rawdata(section, nullptr) : nullptr;
  return data != nullptr && data->d_buf != nullptr
             ? std::string_view(static_cast<const char*>(data->d_buf), data->d_size)
             : std::string_view();
}

}  // namespace

std::optional<DebugLocation> DebugInfo::find(uint64_t address) {
  Unit* unit = dwarf_ != nullptr ? unit_of(address) : nullptr;
  if (unit == nullptr) {
    return std::nullopt;
  }
  DebugLocation result;
  if (const Range* function = function_of(*unit, address)) {
    describe(*unit, *function, address, result);
  } else {
    result.location = line_of(&unit->die, address);
  }
  if (result.function.readable.empty() && result.location.file.empty()) {
    return std::nullopt;
  }
  return result;
}

DebugInfo::Unit* DebugInfo::unit_of(uint64_t address) {
  Dwarf_Die die;
  if (inflated_ != nullptr) {
    if (const std::optional<Dwarf_Die> unit = inflated_unit_of(address)) {
      return unit_at(*unit);
    }
  } else if (dwarf_addrdie(dwarf_, address, &die) != nullptr) {
    return unit_at(die);
  }
  map_all_units();
  const auto after =
      std::upper_bound(unit_ranges_.begin(), unit_ranges_.end(), address,
                       [](uint64_t wanted, const Range& range) { return wanted < range.start; });
  if (after == unit_ranges_.begin() || address >= std::prev(after)->end) {
    return nullptr;
  }
  return unit_at(std::prev(after)->die);
}

// The unit that .debug_aranges names, with everything inflated that its entries lead to; nullopt: it names none, or what it
// names is no unit.
std::optional<Dwarf_Die> DebugInfo::inflated_unit_of(uint64_t address) {
  constexpr uint64_t kLongestHeader = 64;
  if (!ranges_) {
    ranges_.emplace(section_bytes(dwarf_getelf(dwarf_), ".debug_aranges"));
  }
  const std::optional<uint64_t> offset = ranges_->unit_of(address);
  if (!offset || !inflate(InflatedFile::Section::info, *offset + kLongestHeader)) {
    return std::nullopt;
  }
  Dwarf_Off next = 0;
  size_t header = 0;
  Dwarf_Die die;
  if (dwarf_next_unit(dwarf_, *offset, &next, &header, nullptr, nullptr, nullptr, nullptr, nullptr,
                      nullptr) != 0 ||
      !inflate(InflatedFile::Section::info, next) ||
      dwarf_offdie(dwarf_, *offset + header, &die) == nullptr) {
    return std::nullopt;
  }
  if (leads_to_other_units(&die) && !inflate(InflatedFile::Section::info, InflatedFile::kAll)) {
    return std::nullopt;
  }
  return die;
}

bool DebugInfo::inflate(InflatedFile::Section section, uint64_t end) {
  if (inflated_ == nullptr || inflated_->inflate(section, end)) {
    return true;
  }
  complaint_ = "compressed sections: one cannot be decompressed";
  return false;
}

// The line table of a unit, up to its end, which its length tells (DWARF 5, 6.2.4 and 7.4).
bool DebugInfo::inflate_lines(Dwarf_Die* unit) {
  if (inflated_ == nullptr) {
    return true;
  }
  constexpr uint32_t kDwarf64 = 0xffffffff;
  const uint64_t offset = number_attribute(unit, DW_AT_stmt_list);
  uint32_t length = 0;
  const std::string_view lines = section_bytes(dwarf_getelf(dwarf_), ".debug_line");
  if (offset > lines.size() || lines.size() - offset < sizeof length) {
    return true;  // libdw says what is wrong
  }
  if (!inflate(InflatedFile::Section::line, offset + sizeof length)) {
    return false;
  }
  std::memcpy(&length, lines.data() + offset, sizeof length);
  return inflate(InflatedFile::Section::line,
                 length == kDwarf64 ? InflatedFile::kAll : offset + sizeof length + length);
}

DebugInfo::Unit* DebugInfo::unit_at(const Dwarf_Die& die) {
  Dwarf_Die copy = die;
  const auto [unit, is_new] = units_.try_emplace(dwarf_dieoffset(&copy), Unit{die, die, {}});
  if (is_new) {
    inflate_lines(&copy);
    Dwarf_Lines* lines = nullptr;
    size_t count = 0;
    if (dwarf_hasattr(&copy, DW_AT_stmt_list) != 0 &&
        dwarf_getsrclines(&copy, &lines, &count) != 0) {
      complain("a line table is damaged");
    }
    unit->second.tree = tree_of(die);
  }
  return &unit->second;
}

// With -gsplit-dwarf the file has but a skeleton of each unit. libdw finds its .dwo file by the name and the compilation
// directory in the skeleton, and takes it when its id is right. Both come out of the file, and libdw opens whatever is
// there.
Dwarf_Die DebugInfo::tree_of(const Dwarf_Die& unit) {
  uint8_t type = 0;
  if (dwarf_cu_info(unit.cu, nullptr, &type, nullptr, nullptr, nullptr, nullptr, nullptr) != 0 ||
      type != DW_UT_skeleton) {
    return unit;
  }
  Dwarf_Die die = unit;
  const bool is_new = dwarf_hasattr(&die, DW_AT_dwo_name) != 0;
  const char* name = string_attribute(&die, is_new ? DW_AT_dwo_name : DW_AT_GNU_dwo_name);
  const char* directory = string_attribute(&die, DW_AT_comp_dir);
  if (!leads_to_file(folder_, nullptr, name) || !leads_to_file(folder_, directory, name)) {
    complaint_ = std::string("what lies at ") + name +
                 ", where its debug information is said to be, is no file";
    return unit;
  }
  Dwarf_Die split{};
  const bool found =
      dwarf_cu_info(unit.cu, nullptr, nullptr, nullptr, &split, nullptr, nullptr, nullptr) == 0 &&
      dwarf_tag(&split) == DW_TAG_compile_unit;
  return found ? split : unit;
}

// To be called when libdw has just said that something is wrong.
void DebugInfo::complain(const char* what) {
  complaint_ = std::string(what) + ": " + dwarf_errmsg(-1);
}

void DebugInfo::map_all_units() {
  if (mapped_all_units_) {
    return;
  }
  mapped_all_units_ = true;
  inflate(InflatedFile::Section::info, InflatedFile::kAll);
  Dwarf_CU* unit = nullptr;
  Dwarf_Die die;
  for (size_t i = 0; i < kMostUnits; ++i) {
    Dwarf_CU* next = nullptr;
    const int got = dwarf_get_units(dwarf_, unit, &next, nullptr, nullptr, &die, nullptr);
    if (got < 0) {
      complain("its debug information is damaged");
    }
    if (got != 0) {
      break;
    }
    unit = next;
    for_each_range(&die, [&](uint64_t start, uint64_t end) {
      unit_ranges_.push_back({start, end, die});
    });
  }
  std::sort(unit_ranges_.begin(), unit_ranges_.end(),
            [](const Range& a, const Range& b) { return a.start < b.start; });
}

const DebugInfo::Range* DebugInfo::function_of(Unit& unit, uint64_t address) {
  for (const bool inside : {false, true}) {
    bool& looked = inside ? unit.looked_inside : unit.looked_at_top;
    if (!looked) {
      looked = true;
      collect_functions(unit, inside);
    }
    const auto after =
        std::upper_bound(unit.functions.begin(), unit.functions.end(), address,
                         [](uint64_t wanted, const Range& range) { return wanted < range.start; });
    if (after != unit.functions.begin() && address < std::prev(after)->end) {
      return &*std::prev(after);
    }
  }
  return nullptr;
}

void DebugInfo::collect_functions(Unit& unit, bool inside) {
  unit.functions.clear();
  std::vector<Dwarf_Die> path;  // from the unit down to the DIE that is looked at
  Dwarf_Die die;
  if (dwarf_child(&unit.tree, &die) != 0) {
    return;
  }
  path.push_back(die);
  for (size_t seen = 0; !path.empty() && seen < kMostDies; ++seen) {
    Dwarf_Die& current = path.back();
    const int tag = dwarf_tag(&current);
    if (tag == DW_TAG_subprogram) {
      for_each_range(&current, [&](uint64_t start, uint64_t end) {
        unit.functions.push_back({start, end, current});
      });
    }
    if (holds_functions(tag, inside) && path.size() < kDeepestDie &&
        dwarf_child(&current, &die) == 0) {
      path.push_back(die);
      continue;
    }
    while (!path.empty() && !next_sibling(&path.back())) {
      path.pop_back();
    }
  }
  std::sort(unit.functions.begin(), unit.functions.end(),
            [](const Range& a, const Range& b) { return a.start < b.start; });
}

void DebugInfo::describe(Unit& unit, const Range& function, uint64_t address,
                         DebugLocation& result) {
  Dwarf_Die die = function.die;
  result.function = function_name(&die);
  result.range_start = function.start;
  // Each inlined function stands where the one inside it was called; the line table speaks of the
  // innermost.
  const SourceLocation innermost = line_of(&unit.die, address);
  result.location = innermost;
  for (Dwarf_Die& inlined : inlined_at(function.die, address)) {
    SourceLocation& caller =
        result.inlines.empty() ? result.location : result.inlines.front().location;
    caller = call_site_of(&unit.tree, string_attribute(&unit.die, DW_AT_comp_dir), &inlined);
    const FunctionName name = function_name(&inlined);
    result.inlines.insert(result.inlines.begin(), {name.readable, name.linkage, innermost});
  }
}

}  // namespace crashcrawler
