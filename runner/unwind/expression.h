// DWARF expressions as call frame information uses them (DWARF 5, sections 2.5 and 6.4.2).
#pragma once

#include <elfutils/libdw.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "runner/unwind/address_space.h"
#include "runner/unwind/register_set.h"

namespace crashcrawler {

struct ExpressionContext {
  const RegisterSet& registers;  // of the frame the expression describes
  const AddressSpace& memory;
  uint64_t load_bias = 0;
  std::optional<uint64_t> cfa;  // once it is known
};

struct Evaluated {
  enum class Outcome { value, unreadable, failed };

  Outcome outcome = Outcome::failed;
  uint64_t number = 0;  // value: the result; unreadable: the address of which nothing was captured
  std::string why;      // failed

  explicit operator bool() const { return outcome == Outcome::value; }
};

// The number on top of the stack at the end: how the CFA is given.
Evaluated evaluate(std::span<const Dwarf_Op> expression, const ExpressionContext& context);

// The content of the place that the expression describes (a register, a word of memory, or the
// value itself): how the caller's registers are given.
Evaluated evaluate_content(std::span<const Dwarf_Op> expression, const ExpressionContext& context);

}  // namespace crashcrawler
