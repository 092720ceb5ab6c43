#include "runner/unwind/disassembly.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <string>

#include "runner/unwind/crash_unwinder.h"
#include "tests/unit/unwind/programs.h"

namespace crashcrawler {
namespace {

using namespace std::string_literals;
using testing::ElementsAre;
using testing::IsEmpty;
using tests::LiveSnapshot;

constexpr uint64_t kStart = 0x401000;
const std::string kPush = "\x55"s, kMove = "\x48\x89\xe5"s, kReturn = "\xc3"s;
const std::string kStore = "\xc7\x00\x03\x00\x00\x00"s;  // mov dword ptr [rax], 3
const uint64_t kStoreAt = kStart + 4;

std::vector<std::string> texts(const Disassembly& code) {
  std::vector<std::string> all;
  for (const Instruction& instruction : code.instructions) {
    all.push_back(instruction.text);
  }
  return all;
}

// `code` at kStart, kept by the collector.
RawCrash crash_with(const std::string& code) {
  RawCrash crash;
  crash.memory = {{kStart, code}};
  return crash;
}

std::shared_ptr<const Disassembly> disassembled(const RawCrash& crash, const CodePlace& place) {
  return disassemble(place, crash, AddressSpace(crash));
}

// What the one instruction `code` does to memory.
std::vector<MemoryAccess> accesses(const std::string& code, const Registers& registers,
                                   Architecture architecture = Architecture::x86_64) {
  RawCrash crash = crash_with(code);
  crash.architecture = architecture;
  const auto result = disassembled(crash, {kStart, std::nullopt, registers});
  return result ? result->accesses : std::vector<MemoryAccess>();
}

// "w4@10": writes four bytes at 0x10.
std::string described(const std::vector<MemoryAccess>& accesses) {
  std::string text;
  for (const MemoryAccess& access : accesses) {
    text += (text.empty() ? "" : " ") + std::string(access.reads ? "r" : "") +
            (access.writes ? "w" : "") + std::to_string(access.size) + "@" +
            hex(access.address).substr(2);
  }
  return text;
}

TEST(Disassembly, shows_the_instruction_between_its_neighbours) {
  const auto code =
      disassembled(crash_with(kPush + kMove + kStore + kReturn), {kStoreAt, kStart, {}});
  ASSERT_TRUE(code);
  EXPECT_THAT(texts(*code),
              ElementsAre("push rbp", "mov rbp, rsp", "mov dword ptr [rax], 3", "ret"));
  EXPECT_EQ(code->current, 2u);
  EXPECT_EQ(code->instructions[2].address, kStoreAt);
  EXPECT_EQ(code->instructions[2].bytes, kStore);
}

TEST(Disassembly, shows_four_on_each_side) {
  const auto code = disassembled(crash_with(std::string(40, '\x90')), {kStart + 20, kStart, {}});
  ASSERT_TRUE(code);
  EXPECT_EQ(code->instructions.size(), 9u);
  EXPECT_EQ(code->current, 4u);
}

TEST(Disassembly, begins_at_the_instruction_when_nothing_tells_where_others_begin) {
  const RawCrash crash = crash_with(kPush + kMove + kStore + kReturn);
  for (const std::optional<uint64_t> start :
       {std::optional<uint64_t>(), std::optional(kStart - (uint64_t{1} << 20)),
        std::optional(kStoreAt + 1), std::optional(kStart - 1)}) {
    const auto code = disassembled(crash, {kStoreAt, start, {}});
    ASSERT_TRUE(code);
    EXPECT_THAT(texts(*code), ElementsAre("mov dword ptr [rax], 3", "ret"));
    EXPECT_EQ(code->current, 0u);
  }
}

TEST(Disassembly, shows_nothing_before_when_the_function_does_not_decode_to_the_instruction) {
  // the last of the bytes before would swallow the first of the instruction
  const auto code =
      disassembled(crash_with(kPush + "\x48\x89\xb8"s + kStore), {kStoreAt, kStart, {}});
  ASSERT_TRUE(code);
  EXPECT_EQ(code->current, 0u);
}

TEST(Disassembly, believes_the_memory_and_not_the_file) {
  RawCrash crash = crash_with("");
  crash.memory = {{kStoreAt, kStore}};
  const std::string file = kPush + kMove + std::string(6, '\x90') + kReturn;
  AddressSpace files(crash);
  files.add_file_bytes(kStart, file);
  const auto code = disassemble({kStoreAt, kStart, {}}, crash, files);
  ASSERT_TRUE(code);
  EXPECT_THAT(texts(*code),
              ElementsAre("push rbp", "mov rbp, rsp", "mov dword ptr [rax], 3", "ret"));
}

TEST(Disassembly, shows_bytes_that_are_no_instruction) {
  const auto code = disassembled(crash_with("\x06\x07"s), {kStart, std::nullopt, {}});
  ASSERT_TRUE(code);
  EXPECT_THAT(texts(*code), ElementsAre(""));
  EXPECT_EQ(code->instructions[0].bytes, "\x06\x07");
  EXPECT_THAT(code->accesses, IsEmpty());
}

TEST(Disassembly, of_unknown_code_is_none) {
  EXPECT_FALSE(disassembled(RawCrash(), {0, std::nullopt, {}}));
  EXPECT_FALSE(disassembled(crash_with(kStore), {kStart - 1, std::nullopt, {}}));
}

TEST(MemoryAccesses, are_those_of_the_operands) {
  Registers registers;
  registers.rax = 0x10;
  registers.rdi = 0x1000;
  registers.rsi = 0x2000;
  registers.rip = kStart;
  registers.fs_base = 0x70000;
  EXPECT_EQ(described(accesses(kStore, registers)), "w4@10");
  EXPECT_EQ(described(accesses("\x8b\x47\x08"s, registers)), "r4@1008") << "mov eax, [rdi + 8]";
  EXPECT_EQ(described(accesses("\x01\x07"s, registers)), "rw4@1000") << "add [rdi], eax";
  EXPECT_EQ(described(accesses("\x3b\x07"s, registers)), "r4@1000") << "cmp eax, [rdi]";
  EXPECT_EQ(described(accesses("\xf3\xa4"s, registers)), "w1@1000 r1@2000") << "rep movsb";
  EXPECT_EQ(described(accesses("\x0f\x11\x07"s, registers)), "w16@1000") << "movups [rdi], xmm0";
  EXPECT_EQ(described(accesses("\xf0\x0f\xb1\x0f"s, registers)), "rw4@1000") << "lock cmpxchg";
  EXPECT_EQ(described(accesses("\xff\x10"s, registers)), "r8@10") << "call [rax]";
  EXPECT_EQ(described(accesses("\x89\x04\x87"s, registers)), "w4@1040")
      << "mov [rdi + rax * 4], eax";
  EXPECT_EQ(described(accesses("\x8b\x05\x10\x00\x00\x00"s, registers)), "r4@401016")
      << "mov eax, [rip + 16]";
  EXPECT_EQ(described(accesses("\x64\x8b\x07"s, registers)), "r4@71000") << "mov eax, fs:[rdi]";
  EXPECT_EQ(described(accesses("\x67\x8b\x07"s, registers)), "r4@1000") << "mov eax, [edi]";
}

TEST(MemoryAccesses, are_left_out_when_they_are_not_certain) {
  Registers registers;
  EXPECT_EQ(described(accesses("\x48\x8d\x07"s, registers)), "") << "lea: only computes";
  EXPECT_EQ(described(accesses("\x0f\x1f\x07"s, registers)), "") << "nop [rdi]";
  EXPECT_EQ(described(accesses("\x0f\x18\x07"s, registers)), "") << "prefetchnta";
  EXPECT_EQ(described(accesses("\xc4\xe2\x69\x90\x04\x0f"s, registers)), "") << "vpgatherdd";
  EXPECT_EQ(described(accesses("\x65\x8b\x00"s, registers, Architecture::i386)), "")
      << "mov eax, gs:[eax]";
}

TEST(MemoryAccesses, of_32_bit_code_use_its_registers) {
  Registers registers;
  registers.rax = 0xfffffff0;
  EXPECT_EQ(described(accesses("\x89\x50\x20"s, registers, Architecture::i386)), "w4@10")
      << "mov [eax + 32], edx";
}

TEST(CrashUnwinder, disassembles_where_the_crash_was) {
  for (const char* name : {"optimised", "stripped", "plain", "i386_plain"}) {
    SCOPED_TRACE(name);
    if (access(tests::program(name).c_str(), X_OK) != 0) {
      continue;  // made without a 32-bit compiler
    }
    LiveSnapshot snapshot = tests::crash_of(name, "null_write");
    snapshot.crash.signal = {SIGSEGV, SEGV_MAPERR, 0, 0, 0, 0};
    const Backtrace backtrace = CrashUnwinder(snapshot.files, {}).unwind(snapshot.crash);
    const Frame& top = backtrace.threads[0].frames.at(0);
    ASSERT_TRUE(top.disassembly);
    const Disassembly& code = *top.disassembly;
    EXPECT_EQ(code.instructions.at(code.current).address, top.instruction_addr);
    EXPECT_EQ(code.current > 0, top.function_offset > 0);
    ASSERT_EQ(code.accesses.size(), 1u);
    EXPECT_EQ(code.accesses[0].address, snapshot.crash.signal.fault_address);
    EXPECT_TRUE(code.accesses[0].writes);
    EXPECT_FALSE(backtrace.threads[0].frames.at(1).disassembly);
  }
}

TEST(CrashUnwinder, disassembles_no_abort) {
  const LiveSnapshot snapshot = tests::crash_of("optimised", "abort", SIGABRT);
  const Backtrace backtrace = CrashUnwinder(snapshot.files, {}).unwind(snapshot.crash);
  EXPECT_FALSE(backtrace.threads[0].frames.at(0).disassembly) << "no instruction was at fault";
}

TEST(CrashUnwinder, disassembles_what_a_handler_interrupted) {
  const LiveSnapshot snapshot = tests::crash_of("optimised", "handler", SIGABRT);
  const Backtrace backtrace = CrashUnwinder(snapshot.files, {}).unwind(snapshot.crash);
  const Frame* inner = tests::frame_of(backtrace.threads[0], "void shop::inner<int>(int*)");
  ASSERT_NE(inner, nullptr);
  ASSERT_TRUE(inner->disassembly);
  ASSERT_EQ(inner->disassembly->accesses.size(), 1u);
  EXPECT_EQ(described(inner->disassembly->accesses), "w4@0");
}

}  // namespace
}  // namespace crashcrawler
