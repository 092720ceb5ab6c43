#include "runner/base/signal_names.h"

#include <csignal>
#include <cstring>

namespace crashcrawler {
namespace {

struct CodeName {
  int signal;  // 0: any
  int code;
  const char* name;
  const char* meaning;
};

// sigaction(2), "The si_code field"; asm-generic/siginfo.h for the newer ones. The numbers are the
// kernel's ABI and written out where glibc of the supported systems has no name for them yet.
constexpr CodeName kCodes[] = {
    {0, SI_USER, "SI_USER", "sent with kill()"},
    {0, SI_QUEUE, "SI_QUEUE", "sent with sigqueue()"},
    {0, SI_TIMER, "SI_TIMER", "a POSIX timer expired"},
    {0, SI_MESGQ, "SI_MESGQ", "a message arrived on an empty queue"},
    {0, SI_ASYNCIO, "SI_ASYNCIO", "asynchronous I/O completed"},
    {0, SI_SIGIO, "SI_SIGIO", "queued SIGIO"},
    {0, SI_TKILL, "SI_TKILL", "sent with tgkill()"},
    {0, SI_KERNEL, "SI_KERNEL", "raised by the kernel"},
    {SIGILL, 1, "ILL_ILLOPC", "illegal opcode"},
    {SIGILL, 2, "ILL_ILLOPN", "illegal operand"},
    {SIGILL, 3, "ILL_ILLADR", "illegal addressing mode"},
    {SIGILL, 4, "ILL_ILLTRP", "illegal trap"},
    {SIGILL, 5, "ILL_PRVOPC", "privileged opcode"},
    {SIGILL, 6, "ILL_PRVREG", "privileged register"},
    {SIGILL, 7, "ILL_COPROC", "coprocessor error"},
    {SIGILL, 8, "ILL_BADSTK", "internal stack error"},
    {SIGFPE, 1, "FPE_INTDIV", "integer division by zero"},
    {SIGFPE, 2, "FPE_INTOVF", "integer overflow"},
    {SIGFPE, 3, "FPE_FLTDIV", "floating-point division by zero"},
    {SIGFPE, 4, "FPE_FLTOVF", "floating-point overflow"},
    {SIGFPE, 5, "FPE_FLTUND", "floating-point underflow"},
    {SIGFPE, 6, "FPE_FLTRES", "floating-point inexact result"},
    {SIGFPE, 7, "FPE_FLTINV", "invalid floating-point operation"},
    {SIGFPE, 8, "FPE_FLTSUB", "subscript out of range"},
    {SIGSEGV, 1, "SEGV_MAPERR", "nothing is mapped at the address"},
    {SIGSEGV, 2, "SEGV_ACCERR", "the mapping does not permit the access"},
    {SIGSEGV, 3, "SEGV_BNDERR", "failed bounds check"},
    {SIGSEGV, 4, "SEGV_PKUERR", "denied by a memory protection key"},
    {SIGSEGV, 10, "SEGV_CPERR", "control protection fault (shadow stack)"},
    {SIGBUS, 1, "BUS_ADRALN", "misaligned address"},
    {SIGBUS, 2, "BUS_ADRERR", "no such physical address, or beyond the end of the mapped file"},
    {SIGBUS, 3, "BUS_OBJERR", "hardware error at the address"},
    {SIGBUS, 4, "BUS_MCEERR_AR", "memory error consumed"},
    {SIGBUS, 5, "BUS_MCEERR_AO", "memory error found"},
    {SIGTRAP, 1, "TRAP_BRKPT", "breakpoint"},
    {SIGTRAP, 2, "TRAP_TRACE", "trace trap"},
    {SIGTRAP, 3, "TRAP_BRANCH", "branch trap"},
    {SIGTRAP, 4, "TRAP_HWBKPT", "hardware breakpoint or watchpoint"},
    {SIGTRAP, 5, "TRAP_UNK", "undiagnosed trap"},
    {SIGTRAP, 6, "TRAP_PERF", "perf event"},
    {SIGSYS, 1, "SYS_SECCOMP", "system call denied by seccomp"},
    {SIGSYS, 2, "SYS_USER_DISPATCH", "system call user dispatch"},
};

const CodeName* find_code(int number, int code) {
  for (const CodeName& known : kCodes) {
    if (known.code == code && (known.signal == number || known.signal == 0)) {
      return &known;
    }
  }
  return nullptr;
}

}  // namespace

std::string signal_name(int number) {
  const char* abbreviation = ::sigabbrev_np(number);
  return abbreviation ? std::string("SIG") + abbreviation : "SIG" + std::to_string(number);
}

std::string signal_code_name(int number, int code) {
  const CodeName* known = find_code(number, code);
  return known ? known->name : "";
}

std::string signal_code_meaning(int number, int code) {
  const CodeName* known = find_code(number, code);
  return known ? known->meaning : "";
}

bool is_core_signal(int number) {
  switch (number) {
    case SIGQUIT:
    case SIGILL:
    case SIGTRAP:
    case SIGABRT:
    case SIGBUS:
    case SIGFPE:
    case SIGSEGV:
    case SIGXCPU:
    case SIGXFSZ:
    case SIGSYS:
      return true;
    default:
      return false;
  }
}

bool has_fault_address(int number, int code) {
  const bool raised_for_instruction = code > 0 && code != SI_KERNEL;
  return raised_for_instruction && (number == SIGSEGV || number == SIGBUS || number == SIGILL ||
                                    number == SIGFPE || number == SIGTRAP || number == SIGSYS);
}

bool has_sender(int, int code) {
  return code == SI_USER || code == SI_QUEUE || code == SI_TKILL;
}

}  // namespace crashcrawler
