#include "runner/unwind/cfi_step.h"

#include <span>

#include "runner/unwind/expression.h"

namespace crashcrawler {

namespace {

struct RowInfo {
  uint64_t end = 0;
  bool signal_frame = false;
};

RowInfo info_of(const FrameHandle& row) {
  RowInfo info;
  Dwarf_Addr start = 0, end = 0;
  if (row && dwarf_frame_info(row.get(), &start, &end, &info.signal_frame) >= 0) {
    info.end = end;
  }
  return info;
}

// The row for `lookup`. The return address of a signal handler is the first instruction of the
// trampoline; where its table does not begin one byte early (glibc's and the kernel's do, for just
// this case), the byte before belongs to something else or nothing.
FrameHandle row_for(ElfImage& image, uint64_t load_bias, uint64_t lookup, uint64_t pc) {
  FrameHandle row = image.call_frame(lookup - load_bias);
  if (info_of(row).end <= pc - load_bias) {
    FrameHandle exact = image.call_frame(pc - load_bias);
    if (info_of(exact).signal_frame) {
      return exact;
    }
  }
  return row;
}

// What the caller's register `number` held.
struct Recovered {
  enum class Rule { computed, same, undefined } rule;
  Evaluated value;  // computed
};

Recovered recover(Dwarf_Frame* row, size_t number, const ExpressionContext& context) {
  using Rule = Recovered::Rule;
  Dwarf_Op memory[3];
  Dwarf_Op* operations = nullptr;
  size_t count = 0;
  if (dwarf_frame_register(row, static_cast<int>(number), memory, &operations, &count) != 0) {
    return {Rule::computed, {Evaluated::Outcome::failed, 0, "its call frame table cannot be read"}};
  }
  if (count == 0) {
    // What a table does not mention stays as the ABI has it. libdw knows that too, but mistakes rax
    // for rbx (elfutils 0.188, backends/x86_64_cfi.c), and a caller's frame may hang on rbx.
    const RegisterLayout& layout = context.registers.layout();
    if (number < layout.pc) {
      return {(layout.preserved >> number & 1) != 0 ? Rule::same : Rule::undefined, {}};
    }
    return {operations == nullptr ? Rule::same : Rule::undefined, {}};
  }
  return {Rule::computed, evaluate_content({operations, count}, context)};
}

}  // namespace

CfiStep step_by_cfi(ElfImage& image, uint64_t load_bias, uint64_t lookup, const RegisterSet& callee,
                    const AddressSpace& memory) {
  CfiStep step{CfiStep::Outcome::no_table, callee, false, 0, 0, {}};
  const FrameHandle row = row_for(image, load_bias, lookup, callee.pc());
  if (!row) {
    return step;
  }
  const RegisterLayout& layout = callee.layout();
  const int return_column = dwarf_frame_info(row.get(), nullptr, nullptr, &step.signal_frame);
  step.outcome = CfiStep::Outcome::unusable;
  if (return_column < 0 || static_cast<size_t>(return_column) >= layout.count) {
    step.why = "its call frame table names no return address";
    return step;
  }

  const auto give_up = [&](const Evaluated& failure) {
    const bool unreadable = failure.outcome == Evaluated::Outcome::unreadable;
    step.outcome = unreadable ? CfiStep::Outcome::unreadable : CfiStep::Outcome::unusable;
    step.address = failure.number;
    step.why = failure.why;
    return step;
  };
  ExpressionContext context{callee, memory, load_bias, std::nullopt};
  Dwarf_Op* operations = nullptr;
  size_t count = 0;
  if (dwarf_frame_cfa(row.get(), &operations, &count) != 0) {
    step.why = "its call frame table cannot be read";
    return step;
  }
  const Evaluated cfa = evaluate({operations, count}, context);
  if (!cfa) {
    return give_up(cfa);
  }
  context.cfa = step.cfa = cfa.number;

  const Recovered pc = recover(row.get(), static_cast<size_t>(return_column), context);
  if (pc.rule == Recovered::Rule::undefined) {
    step.outcome = CfiStep::Outcome::end_of_stack;
    return step;
  }
  if (pc.rule == Recovered::Rule::same) {
    step.why = "its call frame table gives no place for the return address";
    return step;
  }
  if (!pc.value) {
    return give_up(pc.value);
  }

  for (size_t number = 0; number < layout.count; ++number) {
    const Recovered recovered = recover(row.get(), number, context);
    if (recovered.rule == Recovered::Rule::same) {
      continue;
    }
    if (recovered.value) {
      step.registers.set(number, recovered.value.number);
    } else {
      step.registers.forget(number);
    }
  }
  if (!step.registers.get(layout.sp)) {
    step.registers.set(layout.sp, step.cfa);  // by definition of the CFA (DWARF 5, 6.4)
  }
  step.registers.set(layout.pc, pc.value.number);
  step.outcome = CfiStep::Outcome::caller;
  return step;
}

}  // namespace crashcrawler
