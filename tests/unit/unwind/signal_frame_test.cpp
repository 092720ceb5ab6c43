// Frames as the kernel lays them out, made by hand: programs that leave real ones are in stepper_test.cpp.
#include "runner/unwind/signal_frame.h"

#include <gtest/gtest.h>
#include <sys/ucontext.h>

#include <csignal>
#include <cstring>

namespace crashcrawler {
namespace {

constexpr uint64_t kStack = 0x7fff00001000;
constexpr uint64_t kCode = 0x401000;
constexpr size_t kSignal = 304;

class SignalFrame : public testing::Test {
 protected:
  SignalFrame() {
    for (int number = 0; number < NGREG; ++number) {
      put(number, 0x1000 + static_cast<uint64_t>(number));
    }
    put(REG_RIP, kCode);
    put(REG_CSGSFS, 0x002b000000000033);
    info_.si_signo = SIGSEGV;
    info_.si_code = SEGV_MAPERR;
    info_.si_addr = reinterpret_cast<void*>(0x1000 + REG_CR2);
  }

  void put(int number, uint64_t value) {
    std::memcpy(bytes_.data() + 40 + number * 8, &value, sizeof value);
  }

  std::optional<Interrupted> read(size_t captured = std::string::npos) {
    std::memcpy(bytes_.data() + kSignal, &info_, sizeof info_);
    RawCrash crash;
    crash.threads.emplace_back().stack = {{kStack, bytes_.substr(0, captured)}};
    Registers dead;
    dead.rax = 1;
    dead.fs_base = 2;
    return read_signal_frame(Architecture::x86_64, kStack, dead, AddressSpace(crash));
  }

  int number() { return read().value().signal.number; }

  siginfo_t info_{};
  std::string bytes_ = std::string(kSignal + sizeof info_, '\0');
};

TEST_F(SignalFrame, holds_the_registers) {
  const Registers r = read().value().registers;
  const std::pair<uint64_t, int> expected[] = {
      {r.r8, REG_R8},   {r.r9, REG_R9},     {r.r10, REG_R10}, {r.r11, REG_R11}, {r.r12, REG_R12},
      {r.r13, REG_R13}, {r.r14, REG_R14},   {r.r15, REG_R15}, {r.rdi, REG_RDI}, {r.rsi, REG_RSI},
      {r.rbp, REG_RBP}, {r.rbx, REG_RBX},   {r.rdx, REG_RDX}, {r.rax, REG_RAX}, {r.rcx, REG_RCX},
      {r.rsp, REG_RSP}, {r.rflags, REG_EFL}};
  for (const auto& [value, number] : expected) {
    EXPECT_EQ(value, 0x1000 + static_cast<uint64_t>(number)) << number;
  }
  EXPECT_EQ(r.rip, kCode);
  EXPECT_EQ(r.cs, 0x33u);
  EXPECT_EQ(r.ss, 0x2bu);
  EXPECT_EQ(r.fs_base, 2u) << "not in the frame";
}

TEST_F(SignalFrame, holds_the_fault) {
  const RawSignal signal = read().value().signal;
  EXPECT_EQ(signal.number, SIGSEGV);
  EXPECT_EQ(signal.code, SEGV_MAPERR);
  EXPECT_EQ(signal.fault_address, 0x1000u + REG_CR2);
  EXPECT_EQ(signal.sender_pid, 0);
}

TEST_F(SignalFrame, holds_the_sender) {
  info_ = {};
  info_.si_signo = SIGABRT;
  info_.si_code = SI_TKILL;
  info_.si_pid = 4711;
  info_.si_uid = 1000;
  const RawSignal signal = read().value().signal;
  EXPECT_EQ(signal.number, SIGABRT);
  EXPECT_EQ(signal.sender_pid, 4711);
  EXPECT_EQ(signal.sender_uid, 1000u);
  EXPECT_EQ(signal.fault_address, 0u);
}

TEST_F(SignalFrame, of_an_instruction_is_believed_too) {
  info_.si_signo = SIGILL;
  info_.si_code = ILL_ILLOPN;
  info_.si_addr = reinterpret_cast<void*>(kCode + 1);
  EXPECT_EQ(number(), 0);
  info_.si_addr = reinterpret_cast<void*>(kCode);
  EXPECT_EQ(number(), SIGILL);
}

// What a handler without SA_SIGINFO has there is left from something else.
TEST_F(SignalFrame, does_not_tell_a_signal_that_cannot_be) {
  info_.si_addr = reinterpret_cast<void*>(0x42);
  EXPECT_EQ(number(), 0) << "another address than the trap's";
  info_.si_code = SI_KERNEL;
  EXPECT_EQ(number(), SIGSEGV) << "has none";
  info_.si_code = 77;
  EXPECT_EQ(number(), 0) << "no such code";
  info_.si_code = SI_USER;
  for (const int impossible : {0, -1, NSIG, 1 << 20}) {
    info_.si_signo = impossible;
    EXPECT_EQ(number(), 0) << impossible;
  }
}

TEST_F(SignalFrame, is_read_as_far_as_it_was_captured) {
  const size_t end_of_registers = 40 + sizeof(gregset_t);
  EXPECT_FALSE(read(0));
  EXPECT_FALSE(read(end_of_registers - 1));
  EXPECT_EQ(read(end_of_registers).value().registers.rip, kCode);
  EXPECT_EQ(read(end_of_registers).value().signal.number, 0);
  EXPECT_EQ(read(kSignal + 23).value().signal.number, 0);
  EXPECT_EQ(read(kSignal + 24).value().signal.number, SIGSEGV);
}

// The rest is in stepper_test.cpp, on frames that the kernel made.
TEST(Restorer, is_known_on_i386_by_its_address_and_a_mark_on_the_stack) {
  std::string bytes(800, '\0');
  const uint32_t pc = 0xf7fc1570;
  std::memcpy(bytes.data(), &pc, 4);
  const std::string_view mark("\xb8\xad\0\0\0\xcd\x80", 7);
  bytes.replace(4 + 256, mark.size(), mark);
  RawCrash crash;
  crash.threads.emplace_back().stack = {{0xffff0000, bytes}};
  const AddressSpace memory(crash);
  EXPECT_TRUE(is_restorer(Architecture::i386, pc, 0xffff0004, memory));
  EXPECT_FALSE(is_restorer(Architecture::i386, pc + 1, 0xffff0004, memory));
  EXPECT_FALSE(is_restorer(Architecture::i386, 0, 0xffff0008, memory)) << "no mark there";
  EXPECT_FALSE(is_restorer(Architecture::x86_64, pc, 0xffff0004, memory));
}

TEST(Restorer, is_known_by_its_code) {
  RawCrash crash;
  AddressSpace memory(crash);
  memory.add_file_bytes(0x1000, std::string_view("\x48\xc7\xc0\x0f\0\0\0\x0f\x05\xcc", 10));
  memory.add_file_bytes(0x2000, std::string_view("\xb8\x0f\0\0\0\x0f\x05", 7));
  memory.add_file_bytes(0x3000, std::string_view("\xb8\x0f\0\0\0\x0f", 6));      // cut
  memory.add_file_bytes(0x4000, std::string_view("\xb8\x0e\0\0\0\x0f\x05", 7));  // another call
  const auto is_one = [&](uint64_t pc) {
    return is_restorer(Architecture::x86_64, pc, kStack, memory);
  };
  EXPECT_TRUE(is_one(0x1000));
  EXPECT_TRUE(is_one(0x2000));
  for (const uint64_t pc : {0x1001, 0x2005, 0x3000, 0x4000, 0x5000}) {
    EXPECT_FALSE(is_one(pc)) << pc;
  }
}

}  // namespace
}  // namespace crashcrawler
