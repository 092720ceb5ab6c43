// x86-64: struct rt_sigframe (arch/x86/include/asm/sigframe.h) is the address of the restorer, which the handler's
// return has taken off the stack, the ucontext, and siginfo. The kernel's ucontext is that of the C library with 8
// bytes of signal mask, not 128.
//
// i386: struct rt_sigframe_ia32 for handlers with SA_SIGINFO, struct sigframe_ia32 for others, both beginning with the
// address of the restorer and the signal. The restorer is in the vdso, whose image for these processes is not at hand;
// but the kernel writes its code into each frame too, as a mark for debuggers (arch/x86/kernel/signal_32.c).
//
// The registers are always there. siginfo is filled in for handlers with SA_SIGINFO alone (x64_setup_rt_frame(),
// arch/x86/kernel/signal_64.c) and is otherwise what the stack held before. Nothing in a 64-bit frame tells which; so
// it is believed when it is a signal as the kernel makes them, and a fault when its address is that of the trap or of
// the instruction, which the frame has too.
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

using namespace std::string_view_literals;

// Distances from the stack pointer of the restorer.
constexpr size_t kRegisters = offsetof(ucontext_t, uc_mcontext.gregs);
constexpr size_t kSignal = offsetof(ucontext_t, uc_sigmask) + 8;
static_assert(kRegisters == 40 && kSignal == 304);

struct Layout32 {
  size_t mark;
  std::string_view code;
  size_t registers;  // struct sigcontext_32
  size_t signal;     // 0: has none
};
constexpr std::array kLayouts32 = {
    Layout32{256, "\xb8\xad\0\0\0\xcd\x80"sv, 160, 12},   // mov $173, %eax; int $0x80
    Layout32{720, "\x58\xb8\x77\0\0\0\xcd\x80"sv, 4, 0},  // pop %eax; mov $119, %eax; int $0x80
};

// siginfo_t as far as it is used; `word`: of the address in it.
RawSignal read_signal(std::string_view bytes, size_t word) {
  RawSignal signal;
  const size_t fields = word == 8 ? 16 : 12;
  if (bytes.size() < fields + 8) {
    return signal;
  }
  std::memcpy(&signal.number, bytes.data(), 4);
  std::memcpy(&signal.error, bytes.data() + 4, 4);
  std::memcpy(&signal.code, bytes.data() + 8, 4);
  if (has_sender(signal.number, signal.code)) {
    std::memcpy(&signal.sender_pid, bytes.data() + fields, 4);
    std::memcpy(&signal.sender_uid, bytes.data() + fields + 4, 4);
  } else {
    std::memcpy(&signal.fault_address, bytes.data() + fields, word);
  }
  return signal;
}

bool can_be(const RawSignal& signal, uint64_t trap_address, uint64_t pc) {
  const bool is_known = signal.number > 0 && signal.number < NSIG &&
                        !signal_code_name(signal.number, signal.code).empty();
  return is_known && (!has_fault_address(signal.number, signal.code) ||
                      signal.fault_address == trap_address || signal.fault_address == pc);
}

const Layout32* layout32_at(uint64_t sp, const AddressSpace& memory) {
  const auto found = std::ranges::find_if(kLayouts32, [&](const Layout32& layout) {
    return memory.read(sp + layout.mark, layout.code.size()) == layout.code;
  });
  return found == kLayouts32.end() ? nullptr : &*found;
}

std::optional<Interrupted> read_frame32(uint64_t sp, const Registers& dead,
                                        const AddressSpace& memory) {
  const Layout32* layout = layout32_at(sp, memory);
  std::array<uint32_t, 22> saved{};
  if (layout == nullptr) {
    return std::nullopt;
  }
  const std::string_view bytes = memory.read(sp + layout->registers, sizeof saved);
  if (bytes.size() < sizeof saved) {
    return std::nullopt;
  }
  std::memcpy(saved.data(), bytes.data(), sizeof saved);
  Interrupted interrupted{{}, dead};
  Registers& r = interrupted.registers;
  r.rdi = saved[4], r.rsi = saved[5], r.rbp = saved[6], r.rsp = saved[7];
  r.rbx = saved[8], r.rdx = saved[9], r.rcx = saved[10], r.rax = saved[11];
  r.rip = saved[14], r.cs = saved[15] & 0xffff, r.rflags = saved[16], r.ss = saved[18] & 0xffff;
  r.orig_rax = 0xffffffff;  // not in the frame: no system call
  if (layout->signal != 0) {
    const RawSignal signal = read_signal(memory.read(sp + layout->signal, 20), 4);
    interrupted.signal = can_be(signal, saved[21], r.rip) ? signal : RawSignal{};
  }
  return interrupted;
}

std::optional<Interrupted> read_frame64(uint64_t sp, const Registers& dead,
                                        const AddressSpace& memory) {
  std::array<uint64_t, NGREG> saved{};
  const std::string_view bytes = memory.read(sp + kRegisters, sizeof saved);
  if (bytes.size() < sizeof saved) {
    return std::nullopt;
  }
  std::memcpy(saved.data(), bytes.data(), sizeof saved);
  Interrupted interrupted{{}, dead};
  Registers& r = interrupted.registers;
  r.r8 = saved[REG_R8], r.r9 = saved[REG_R9], r.r10 = saved[REG_R10], r.r11 = saved[REG_R11];
  r.r12 = saved[REG_R12], r.r13 = saved[REG_R13], r.r14 = saved[REG_R14], r.r15 = saved[REG_R15];
  r.rdi = saved[REG_RDI], r.rsi = saved[REG_RSI], r.rbp = saved[REG_RBP], r.rbx = saved[REG_RBX];
  r.rdx = saved[REG_RDX], r.rax = saved[REG_RAX], r.rcx = saved[REG_RCX], r.rsp = saved[REG_RSP];
  r.rip = saved[REG_RIP], r.rflags = saved[REG_EFL];
  r.cs = saved[REG_CSGSFS] & 0xffff, r.ss = saved[REG_CSGSFS] >> 48;
  r.orig_rax = ~uint64_t{0};  // not in the frame: no system call
  const RawSignal signal = read_signal(memory.read(sp + kSignal, 24), 8);
  interrupted.signal = can_be(signal, saved[REG_CR2], r.rip) ? signal : RawSignal{};
  return interrupted;
}

}  // namespace

bool is_restorer(Architecture architecture, uint64_t pc, uint64_t sp, const AddressSpace& memory) {
  if (architecture == Architecture::i386) {
    return memory.read_number(sp - 4, 4) == pc && layout32_at(sp, memory) != nullptr;
  }
  // mov $15, %rax (of glibc and Go) or mov $15, %eax (of musl); syscall
  constexpr std::array kCodes = {"\x48\xc7\xc0\x0f\0\0\0\x0f\x05"sv, "\xb8\x0f\0\0\0\x0f\x05"sv};
  return std::ranges::any_of(
      kCodes, [&](std::string_view code) { return memory.read(pc, code.size()) == code; });
}

std::optional<Interrupted> read_signal_frame(Architecture architecture, uint64_t sp,
                                             const Registers& dead, const AddressSpace& memory) {
  return architecture == Architecture::i386 ? read_frame32(sp, dead, memory)
                                            : read_frame64(sp, dead, memory);
}

}  // namespace crashcrawler
