#include "runner/unwind/symbolizer.h"

#include "runner/unwind/demangle.h"

namespace crashcrawler {

namespace {

constexpr size_t kMostKnown = 1u << 18;

}  // namespace

const ResolvedAddress& Symbolizer::resolve(uint64_t address) {
  const auto known = known_.find(address);
  if (known != known_.end()) {
    return known->second;
  }
  if (known_.size() >= kMostKnown) {
    known_.clear();
  }
  return known_.emplace(address, look_up(address)).first->second;
}

// Debug information knows the function even in a piece that the compiler split off, the symbol
// table knows the mangled name of functions without DW_AT_linkage_name and where the piece begins.
ResolvedAddress Symbolizer::look_up(uint64_t address) {
  ResolvedAddress result;
  const std::optional<Symbol> symbol = symbols_.find(address);
  if (symbol) {
    result.raw_function = symbol->name;
    result.function = readable_name(symbol->name);
    result.function_start = symbol->start;
  }
  std::optional<DebugLocation> debug = debug_info_.find(address);
  if (!debug) {
    return result;
  }
  result.location = std::move(debug->location);
  result.inlines = std::move(debug->inlines);
  if (debug->function.readable.empty()) {
    return result;
  }
  const bool symbol_says_more = symbol && !debug->function.mangled && is_mangled(symbol->name) &&
                                symbol->start == debug->range_start;
  if (!symbol_says_more) {
    result.function = std::move(debug->function.readable);
    result.raw_function = std::move(debug->function.linkage);
  }
  if (!result.function_start) {
    result.function_start = debug->range_start;
  }
  return result;
}

}  // namespace crashcrawler
