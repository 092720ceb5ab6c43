// Everything that one file says about an address of its code, asked once per address.
#pragma once

#include <elfutils/libdw.h>
#include <libelf.h>

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "runner/model/backtrace.h"
#include "runner/unwind/debug_info.h"
#include "runner/unwind/symbol_table.h"

namespace crashcrawler {

struct ResolvedAddress {
  std::string function, raw_function;  // as in Frame
  std::optional<uint64_t> function_start;
  SourceLocation location;
  std::vector<InlinedFunction> inlines;
};

class Symbolizer {
 public:
  // `debug_file` and `mini_debug_file` may be null.
  Symbolizer(Elf* elf, Elf* debug_file, Elf* mini_debug_file, DebugInfo debug_info)
      : symbols_({elf, debug_file}, mini_debug_file), debug_info_(std::move(debug_info)) {}

  // Stays valid until the next call.
  const ResolvedAddress& resolve(uint64_t address);

  // What was wrong with the debug information so far; empty: nothing.
  const std::string& complaint() const { return debug_info_.complaint(); }

 private:
  ResolvedAddress look_up(uint64_t address);

  SymbolTable symbols_;
  DebugInfo debug_info_;
  std::unordered_map<uint64_t, ResolvedAddress> known_;
};

}  // namespace crashcrawler
