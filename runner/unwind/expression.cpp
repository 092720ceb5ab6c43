// The expressions of CFI are small: "CFA = rsp + 16 + (8 if we are past the push)" for a PLT entry,
// "the register lies at rsp + 40" for a signal frame. libdw decodes the bytes into Dwarf_Op; here
// they are executed.
//
// Why our own machine: libdw's is part of libdwfl and wants a whole libdwfl session per process.
// What hostile input can do is bounded by the two limits below; numbers wrap like addresses do, at
// the word size of the process.
#include "runner/unwind/expression.h"

#include <dwarf.h>

#include <algorithm>
#include <array>

namespace crashcrawler {

namespace {

constexpr size_t kMostSteps = 4096;  // branches can go backwards
constexpr size_t kStackDepth = 64;

std::string unknown_register(uint64_t number) {
  return "DWARF register " + std::to_string(number) + " is not known here";
}

class Machine {
 public:
  Machine(std::span<const Dwarf_Op> code, const ExpressionContext& context)
      : code_(code), context_(context), layout_(context.registers.layout()) {}

  Evaluated run();

 private:
  void push(uint64_t value);
  uint64_t pop();
  uint64_t peek(size_t depth);
  int64_t signed_value(uint64_t value) const;

  void push_register(uint64_t number, uint64_t offset);
  void push_memory(uint64_t address, size_t size);
  void branch(const Dwarf_Op& op);
  void execute(const Dwarf_Op& op);
  bool execute_constant(const Dwarf_Op& op);
  bool execute_stack_operation(const Dwarf_Op& op);
  bool execute_unary(const Dwarf_Op& op);
  uint64_t binary(unsigned atom, uint64_t a, uint64_t b);
  uint64_t divide(uint64_t a, uint64_t b);

  void fail(std::string why);

  std::span<const Dwarf_Op> code_;
  const ExpressionContext& context_;
  const RegisterLayout& layout_;
  std::array<uint64_t, kStackDepth> stack_{};
  size_t depth_ = 0;
  size_t next_ = 0;
  bool failed_ = false;
  Evaluated failure_;  // the first one
};

void Machine::fail(std::string why) {
  if (!failed_) {
    failed_ = true;
    failure_ = {Evaluated::Outcome::failed, 0, std::move(why)};
  }
}

void Machine::push(uint64_t value) {
  if (depth_ == kStackDepth) {
    fail("a call frame expression is too deep");
    return;
  }
  stack_[depth_++] = value & layout_.mask;
}

uint64_t Machine::pop() {
  if (depth_ == 0) {
    fail("a call frame expression takes from an empty stack");
    return 0;
  }
  return stack_[--depth_];
}

uint64_t Machine::peek(size_t depth) {
  if (depth >= depth_) {
    fail("a call frame expression reads below its stack");
    return 0;
  }
  return stack_[depth_ - 1 - depth];
}

int64_t Machine::signed_value(uint64_t value) const {
  return layout_.word_size == 4 ? static_cast<int32_t>(static_cast<uint32_t>(value))
                                : static_cast<int64_t>(value);
}

void Machine::push_register(uint64_t number, uint64_t offset) {
  const std::optional<uint64_t> value = context_.registers.get(number);
  if (!value) {
    fail(unknown_register(number));
    return;
  }
  push(*value + offset);
}

void Machine::push_memory(uint64_t address, size_t size) {
  const std::optional<uint64_t> value = context_.memory.read_number(address, size);
  if (value) {
    push(*value);
  } else if (!failed_) {
    failed_ = true;
    failure_ = {Evaluated::Outcome::unreadable, address, {}};
  }
}

// The operand counts bytes from the end of the operation, which is three bytes long.
void Machine::branch(const Dwarf_Op& op) {
  const uint64_t target = op.offset + 3 + static_cast<uint64_t>(static_cast<int16_t>(op.number));
  const auto found = std::find_if(code_.begin(), code_.end(),
                                  [&](const Dwarf_Op& other) { return other.offset == target; });
  if (found == code_.end() && !(target > code_.back().offset)) {
    fail("a call frame expression jumps to nowhere");
    return;
  }
  next_ = static_cast<size_t>(found - code_.begin());
}

bool Machine::execute_constant(const Dwarf_Op& op) {
  if (op.atom >= DW_OP_lit0 && op.atom <= DW_OP_lit31) {
    push(static_cast<uint64_t>(op.atom - DW_OP_lit0));
    return true;
  }
  if (op.atom >= DW_OP_breg0 && op.atom <= DW_OP_breg31) {
    push_register(static_cast<uint64_t>(op.atom - DW_OP_breg0), op.number);
    return true;
  }
  switch (op.atom) {
    case DW_OP_const1u:
    case DW_OP_const1s:
    case DW_OP_const2u:
    case DW_OP_const2s:
    case DW_OP_const4u:
    case DW_OP_const4s:
    case DW_OP_const8u:
    case DW_OP_const8s:
    case DW_OP_constu:
    case DW_OP_consts:
      push(op.number);  // libdw has extended the sign
      return true;
    case DW_OP_addr:
      push(op.number + context_.load_bias);
      return true;
    case DW_OP_bregx:
      push_register(op.number, op.number2);
      return true;
    case DW_OP_call_frame_cfa:
      if (!context_.cfa) {
        fail("a call frame expression asks for the address that it should give");
        return true;
      }
      push(*context_.cfa);
      return true;
    default:
      return false;
  }
}

bool Machine::execute_stack_operation(const Dwarf_Op& op) {
  switch (op.atom) {
    case DW_OP_dup:
      push(peek(0));
      return true;
    case DW_OP_drop:
      pop();
      return true;
    case DW_OP_over:
      push(peek(1));
      return true;
    case DW_OP_pick:
      push(peek(op.number));
      return true;
    case DW_OP_swap: {
      const uint64_t top = pop(), second = pop();
      push(top);
      push(second);
      return true;
    }
    case DW_OP_rot: {
      const uint64_t first = pop(), second = pop(), third = pop();
      push(first);
      push(third);
      push(second);
      return true;
    }
    case DW_OP_deref:
      push_memory(pop(), layout_.word_size);
      return true;
    case DW_OP_deref_size:
      push_memory(pop(), op.number);
      return true;
    case DW_OP_skip:
      branch(op);
      return true;
    case DW_OP_bra:
      if (pop() != 0) {
        branch(op);
      }
      return true;
    case DW_OP_nop:
      return true;
    default:
      return false;
  }
}

uint64_t Machine::divide(uint64_t a, uint64_t b) {
  if (b == 0) {
    fail("a call frame expression divides by zero");
    return 0;
  }
  // The quotient of the smallest number and -1 is no number: negate instead.
  return signed_value(b) == -1 ? 0 - a : static_cast<uint64_t>(signed_value(a) / signed_value(b));
}

uint64_t Machine::binary(unsigned atom, uint64_t a, uint64_t b) {
  const int64_t sa = signed_value(a), sb = signed_value(b);
  const uint64_t bits = layout_.word_size * 8;
  switch (atom) {
    case DW_OP_and:
      return a & b;
    case DW_OP_or:
      return a | b;
    case DW_OP_xor:
      return a ^ b;
    case DW_OP_plus:
      return a + b;
    case DW_OP_minus:
      return a - b;
    case DW_OP_mul:
      return a * b;
    case DW_OP_div:
      return divide(a, b);
    case DW_OP_mod:
      return b == 0 ? divide(a, b) : a % b;
    case DW_OP_shl:
      return b < bits ? a << b : 0;
    case DW_OP_shr:
      return b < bits ? a >> b : 0;
    case DW_OP_shra:
      return static_cast<uint64_t>(sa >> std::min(b, bits - 1));
    case DW_OP_eq:
      return a == b;
    case DW_OP_ne:
      return a != b;
    case DW_OP_lt:
      return sa < sb;
    case DW_OP_le:
      return sa <= sb;
    case DW_OP_gt:
      return sa > sb;
    case DW_OP_ge:
      return sa >= sb;
    default:
      fail("a call frame expression uses operation " + hex(atom));
      return 0;
  }
}

bool Machine::execute_unary(const Dwarf_Op& op) {
  switch (op.atom) {
    case DW_OP_plus_uconst:
      push(pop() + op.number);
      return true;
    case DW_OP_neg:
      push(0 - pop());
      return true;
    case DW_OP_not:
      push(~pop());
      return true;
    case DW_OP_abs: {
      const uint64_t value = pop();
      push(signed_value(value) < 0 ? 0 - value : value);
      return true;
    }
    default:
      return false;
  }
}

void Machine::execute(const Dwarf_Op& op) {
  if (execute_constant(op) || execute_stack_operation(op) || execute_unary(op)) {
    return;
  }
  const uint64_t b = pop(), a = pop();
  push(binary(op.atom, a, b));
}

Evaluated Machine::run() {
  size_t steps = 0;
  while (next_ < code_.size() && !failed_) {
    if (++steps > kMostSteps) {
      fail("a call frame expression does not end");
      break;
    }
    const Dwarf_Op& op = code_[next_++];
    execute(op);
  }
  const uint64_t top = peek(0);
  return failed_ ? failure_ : Evaluated{Evaluated::Outcome::value, top, {}};
}

std::optional<uint64_t> register_named_by(const Dwarf_Op& op) {
  if (op.atom >= DW_OP_reg0 && op.atom <= DW_OP_reg31) {
    return static_cast<uint64_t>(op.atom - DW_OP_reg0);
  }
  if (op.atom == DW_OP_regx) {
    return op.number;
  }
  return std::nullopt;
}

}  // namespace

Evaluated evaluate(std::span<const Dwarf_Op> expression, const ExpressionContext& context) {
  return Machine(expression, context).run();
}

Evaluated evaluate_content(std::span<const Dwarf_Op> expression, const ExpressionContext& context) {
  using Outcome = Evaluated::Outcome;
  if (expression.empty()) {
    return {Outcome::failed, 0, "a call frame expression is empty"};
  }
  if (const std::optional<uint64_t> number = register_named_by(expression.front())) {
    const std::optional<uint64_t> value = context.registers.get(*number);
    return value ? Evaluated{Outcome::value, *value, {}}
                 : Evaluated{Outcome::failed, 0, unknown_register(*number)};
  }
  if (expression.back().atom == DW_OP_stack_value) {
    return evaluate(expression.first(expression.size() - 1), context);
  }
  Evaluated place = evaluate(expression, context);
  if (!place) {
    return place;
  }
  const size_t size = context.registers.layout().word_size;
  const std::optional<uint64_t> value = context.memory.read_number(place.number, size);
  return value ? Evaluated{Outcome::value, *value, {}}
               : Evaluated{Outcome::unreadable, place.number, {}};
}

}  // namespace crashcrawler
