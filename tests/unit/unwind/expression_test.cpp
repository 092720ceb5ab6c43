#include "runner/unwind/expression.h"

#include <dwarf.h>
#include <gtest/gtest.h>

#include <vector>

namespace crashcrawler {
namespace {

using Outcome = Evaluated::Outcome;

Dwarf_Op op(unsigned atom, Dwarf_Word number = 0, Dwarf_Word number2 = 0, Dwarf_Word offset = 0) {
  Dwarf_Op result{};
  result.atom = static_cast<uint8_t>(atom);
  result.number = number;
  result.number2 = number2;
  result.offset = offset;
  return result;
}

class Expression : public testing::Test {
 protected:
  Expression() {
    registers.rsp = 0x1000;
    registers.rip = 0x40100b;
    crash.threads.resize(1);
    crash.threads[0].stack = {{0x1000, std::string("\x11\x22\x33\x44\x55\x66\x77\x00", 8)}};
  }

  Evaluated run(const std::vector<Dwarf_Op>& code, std::optional<uint64_t> cfa = std::nullopt) {
    const AddressSpace memory(crash);
    const RegisterSet set(registers, architecture);
    return evaluate(code, {set, memory, 0x10000, cfa});
  }

  Evaluated content(const std::vector<Dwarf_Op>& code, std::optional<uint64_t> cfa) {
    const AddressSpace memory(crash);
    RegisterSet set(registers, architecture);
    set.forget(3);
    return evaluate_content(code, {set, memory, 0, cfa});
  }

  Registers registers;
  RawCrash crash;
  Architecture architecture = Architecture::x86_64;
};

// What linkers write for the entries of .plt: CFA = rsp + 8, and 8 more once the entry has pushed its index.
std::vector<Dwarf_Op> plt_entry() {
  return {op(DW_OP_breg7, 8), op(DW_OP_breg16, 0), op(DW_OP_lit15), op(DW_OP_and), op(DW_OP_lit11),
          op(DW_OP_ge),       op(DW_OP_lit3),      op(DW_OP_shl),   op(DW_OP_plus)};
}

TEST_F(Expression, finds_the_cfa_of_a_plt_entry) {
  EXPECT_EQ(run(plt_entry()).number, 0x1010u);
  registers.rip = 0x401006;
  EXPECT_EQ(run(plt_entry()).number, 0x1008u);
}

TEST_F(Expression, reads_captured_memory) {
  EXPECT_EQ(run({op(DW_OP_breg7, 0), op(DW_OP_deref)}).number, 0x0077665544332211u);
  EXPECT_EQ(run({op(DW_OP_breg7, 1), op(DW_OP_deref_size, 2)}).number, 0x3322u);
}

TEST_F(Expression, names_the_address_that_was_not_captured) {
  const Evaluated result = run({op(DW_OP_const4u, 0x5000), op(DW_OP_deref), op(DW_OP_deref)});
  EXPECT_EQ(result.outcome, Outcome::unreadable);
  EXPECT_EQ(result.number, 0x5000u);
}

TEST_F(Expression, calculates) {
  const auto binary = [&](uint64_t a, uint64_t b, unsigned atom) {
    return run({op(DW_OP_constu, a), op(DW_OP_constu, b), op(atom)}).number;
  };
  EXPECT_EQ(binary(7, 5, DW_OP_minus), 2u);
  EXPECT_EQ(binary(7, 5, DW_OP_mul), 35u);
  EXPECT_EQ(binary(~uint64_t{0} - 6, 2, DW_OP_div), ~uint64_t{0} - 2) << "-7 / 2 = -3";
  EXPECT_EQ(binary(uint64_t{1} << 63, ~uint64_t{0}, DW_OP_div), uint64_t{1} << 63);
  EXPECT_EQ(binary(7, 5, DW_OP_mod), 2u);
  EXPECT_EQ(binary(6, 3, DW_OP_or), 7u);
  EXPECT_EQ(binary(6, 3, DW_OP_xor), 5u);
  EXPECT_EQ(binary(1, 64, DW_OP_shl), 0u);
  EXPECT_EQ(binary(16, 4, DW_OP_shr), 1u);
  EXPECT_EQ(binary(~uint64_t{0}, 99, DW_OP_shra), ~uint64_t{0});
  EXPECT_EQ(binary(~uint64_t{0}, 0, DW_OP_lt), 1u) << "comparisons are signed";
  EXPECT_EQ(binary(3, 3, DW_OP_le), 1u);
  EXPECT_EQ(binary(3, 4, DW_OP_gt), 0u);
  EXPECT_EQ(binary(3, 4, DW_OP_ne), 1u);
  EXPECT_EQ(binary(3, 4, DW_OP_eq), 0u);
  EXPECT_EQ(run({op(DW_OP_lit5), op(DW_OP_neg), op(DW_OP_abs)}).number, 5u);
  EXPECT_EQ(run({op(DW_OP_lit0), op(DW_OP_not)}).number, ~uint64_t{0});
  EXPECT_EQ(run({op(DW_OP_addr, 0x234)}).number, 0x10234u) << "file addresses are moved";
}

TEST_F(Expression, moves_things_on_its_stack) {
  const std::vector<Dwarf_Op> three = {op(DW_OP_lit1), op(DW_OP_lit2), op(DW_OP_lit3)};
  const auto with = [&](std::vector<Dwarf_Op> more) {
    std::vector<Dwarf_Op> code = three;
    code.insert(code.end(), more.begin(), more.end());
    return run(code).number;
  };
  EXPECT_EQ(with({op(DW_OP_drop)}), 2u);
  EXPECT_EQ(with({op(DW_OP_over)}), 2u);
  EXPECT_EQ(with({op(DW_OP_pick, 2)}), 1u);
  EXPECT_EQ(with({op(DW_OP_swap)}), 2u);
  EXPECT_EQ(with({op(DW_OP_rot)}), 2u);
  EXPECT_EQ(with({op(DW_OP_rot), op(DW_OP_drop)}), 1u);
  EXPECT_EQ(with({op(DW_OP_dup), op(DW_OP_plus)}), 6u);
}

TEST_F(Expression, branches_by_byte_offsets) {
  // lit1; bra +1 (over the lit5); lit5; lit7
  const std::vector<Dwarf_Op> code = {op(DW_OP_lit1, 0, 0, 0), op(DW_OP_bra, 1, 0, 1),
                                      op(DW_OP_lit5, 0, 0, 4), op(DW_OP_lit7, 0, 0, 5)};
  EXPECT_EQ(run(code).number, 7u);
  EXPECT_EQ(run({op(DW_OP_lit9, 0, 0, 0), op(DW_OP_skip, 0, 0, 1)}).number, 9u) << "to the end";
}

TEST_F(Expression, ends_whatever_it_is_given) {
  const Dwarf_Word back = static_cast<Dwarf_Word>(-3);
  EXPECT_EQ(run({op(DW_OP_skip, back, 0, 0)}).outcome, Outcome::failed);
  EXPECT_EQ(run({op(DW_OP_skip, 0x7000, 0, 0), op(DW_OP_lit1, 0, 0, 3)}).outcome, Outcome::failed);
  EXPECT_EQ(run({op(DW_OP_lit1, 0, 0, 0), op(DW_OP_skip, back - 1, 0, 1)}).outcome, Outcome::failed)
      << "fills its stack";
  EXPECT_EQ(run({}).outcome, Outcome::failed);
  EXPECT_EQ(run({op(DW_OP_plus)}).outcome, Outcome::failed);
  EXPECT_EQ(run({op(DW_OP_lit1), op(DW_OP_pick, 200)}).outcome, Outcome::failed);
  EXPECT_EQ(run({op(DW_OP_lit1), op(DW_OP_lit0), op(DW_OP_div)}).outcome, Outcome::failed);
  EXPECT_EQ(run({op(DW_OP_lit1), op(DW_OP_lit0), op(DW_OP_mod)}).outcome, Outcome::failed);
  EXPECT_EQ(run({op(DW_OP_form_tls_address)}).outcome, Outcome::failed);
  EXPECT_EQ(run({op(DW_OP_call_frame_cfa)}).outcome, Outcome::failed);
  EXPECT_EQ(run({op(DW_OP_bregx, 40, 0)}).outcome, Outcome::failed);
}

TEST_F(Expression, wraps_at_the_word_of_the_process) {
  architecture = Architecture::i386;
  EXPECT_EQ(run({op(DW_OP_constu, 0xffffffff), op(DW_OP_lit2), op(DW_OP_plus)}).number, 1u);
  EXPECT_EQ(run({op(DW_OP_constu, 0xffffffff), op(DW_OP_lit0), op(DW_OP_lt)}).number, 1u);
  EXPECT_EQ(run({op(DW_OP_breg4, 0), op(DW_OP_deref)}).number, 0x44332211u);
}

TEST_F(Expression, gives_the_content_of_a_place) {
  EXPECT_EQ(content({op(DW_OP_call_frame_cfa), op(DW_OP_plus_uconst, static_cast<Dwarf_Word>(-16))},
                    0x1010)
                .number,
            0x0077665544332211u);
  EXPECT_EQ(content({op(DW_OP_call_frame_cfa), op(DW_OP_stack_value)}, 0x1010).number, 0x1010u);
  EXPECT_EQ(content({op(DW_OP_reg7)}, 0x1010).number, 0x1000u);
  EXPECT_EQ(content({op(DW_OP_regx, 16)}, 0x1010).number, 0x40100bu);
  EXPECT_EQ(content({op(DW_OP_reg3)}, 0x1010).outcome, Outcome::failed) << "it was forgotten";
  EXPECT_EQ(content({}, 0x1010).outcome, Outcome::failed);
  EXPECT_EQ(content({op(DW_OP_call_frame_cfa)}, 0x9000).outcome, Outcome::unreadable);
}

}  // namespace
}  // namespace crashcrawler
