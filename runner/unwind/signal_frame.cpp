// struct rt_sigframe (arch/x86/include/asm/sigframe.h): the address of the restorer, which the handler's return has
// taken off the stack, then the ucontext, then siginfo. The kernel's ucontext is that of the C library with 8 bytes of
// signal mask, not 128.
//
// The registers are always there. siginfo is filled in for handlers with SA_SIGINFO alone (x64_setup_rt_frame(),
// arch/x86/kernel/signal_64.c) and is otherwise what the stack held before. Nothing in the frame tells which; so it is
// believed when it is a signal as the kernel makes them, and a fault when its address is that of the trap or of the
// instruction, which the frame has too.
#include "runner/unwind/signal_frame.h"

#include <sys/ucontext.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstddef>
#include <cstring>
#include <string_view>

#include "runner/base/signal_names.h"

namespace crashcrawler {

namespace {

constexpr size_t kRegisters = offsetof(ucontext_t, uc_mcontext.gregs);
constexpr size_t kSignal = offsetof(ucontext_t, uc_sigmask) + 8;
static_assert(kRegisters == 40 && kSignal == 304);

RawSignal no_signal() {
  return {};
}

RawSignal signal_of(std::string_view bytes, const gregset_t& saved) {
  siginfo_t info{};
  if (bytes.size() < offsetof(siginfo_t, si_addr) + sizeof info.si_addr) {
    return no_signal();
  }
  std::memcpy(&info, bytes.data(), std::min(bytes.size(), sizeof info));
  RawSignal signal;
  signal.number = info.si_signo;
  signal.code = info.si_code;
  signal.error = info.si_errno;
  if (signal.number <= 0 || signal.number >= NSIG ||
      signal_code_name(signal.number, signal.code).empty()) {
    return no_signal();
  }
  if (has_sender(signal.number, signal.code)) {
    signal.sender_pid = info.si_pid;
    signal.sender_uid = info.si_uid;
    return signal;
  }
  signal.fault_address = reinterpret_cast<uint64_t>(info.si_addr);
  const bool is_of_this_fault =
      signal.fault_address == static_cast<uint64_t>(saved[REG_CR2]) ||
      signal.fault_address == static_cast<uint64_t>(saved[REG_RIP]);
  return has_fault_address(signal.number, signal.code) && !is_of_this_fault ? no_signal() : signal;
}

}  // namespace

bool is_restorer(uint64_t pc, const AddressSpace& memory) {
  using namespace std::string_view_literals;
  // mov $15, %rax (of glibc and Go) or mov $15, %eax (of musl); syscall
  constexpr std::array kCodes = {"\x48\xc7\xc0\x0f\0\0\0\x0f\x05"sv, "\xb8\x0f\0\0\0\x0f\x05"sv};
  return std::ranges::any_of(
      kCodes, [&](std::string_view code) { return memory.read(pc, code.size()) == code; });
}

std::optional<Interrupted> read_signal_frame(uint64_t sp, const Registers& dead,
                                             const AddressSpace& memory) {
  gregset_t saved;
  const std::string_view bytes = memory.read(sp + kRegisters, sizeof saved);
  if (bytes.size() < sizeof saved) {
    return std::nullopt;
  }
  std::memcpy(saved, bytes.data(), sizeof saved);

  const auto reg = [&](int number) { return static_cast<uint64_t>(saved[number]); };
  Interrupted interrupted;
  Registers& r = interrupted.registers;
  r = dead;
  r.r8 = reg(REG_R8), r.r9 = reg(REG_R9), r.r10 = reg(REG_R10), r.r11 = reg(REG_R11);
  r.r12 = reg(REG_R12), r.r13 = reg(REG_R13), r.r14 = reg(REG_R14), r.r15 = reg(REG_R15);
  r.rdi = reg(REG_RDI), r.rsi = reg(REG_RSI), r.rbp = reg(REG_RBP), r.rbx = reg(REG_RBX);
  r.rdx = reg(REG_RDX), r.rax = reg(REG_RAX), r.rcx = reg(REG_RCX), r.rsp = reg(REG_RSP);
  r.rip = reg(REG_RIP), r.rflags = reg(REG_EFL);
  r.cs = reg(REG_CSGSFS) & 0xffff, r.ss = reg(REG_CSGSFS) >> 48;
  r.orig_rax = ~uint64_t{0};  // not in the frame: no system call
  interrupted.signal = signal_of(memory.read(sp + kSignal, sizeof(siginfo_t)), saved);
  return interrupted;
}

}  // namespace crashcrawler
