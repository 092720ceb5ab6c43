// From siginfo, registers and memory map to words.
//
// What the kernel tells is less than people think: si_addr is the address, not whether it was read
// or written; a non-canonical address arrives as SI_KERNEL with address 0 (arch/x86/kernel/traps.c,
// exc_general_protection) and on the stack as SIGBUS (exc_stack_segment); a stack overflow is an
// ordinary SEGV_MAPERR (main thread) or SEGV_ACCERR (the PROT_NONE guard of a thread's stack). So
// "stack overflow" is a conclusion, drawn only when three facts agree: the address cannot be
// accessed, it is where the stack pointer is or was about to go, and the next memory above it is
// writable, as a stack is. Whatever is not certain keeps the kernel's own words.
#include "runner/report/headline.h"

#include <sys/wait.h>

#include <algorithm>
#include <csignal>
#include <optional>

#include "runner/base/signal_names.h"
#include "runner/report/explanation.h"
#include "runner/report/regions.h"
#include "runner/report/stack.h"
#include "runner/report/text.h"
#include "runner/report/words.h"

namespace crashcrawler {
namespace {

constexpr uint64_t kNullPage = 4096;  // below mmap_min_addr (usually 65536) nothing can be mapped
constexpr uint64_t kPushReach =
    4096;  // how far below the stack pointer code touches: red zone, calls, probes
constexpr uint64_t kLargestFrame = uint64_t{64} << 20;
constexpr size_t kLongestName = 120;
constexpr size_t kLongestMessage = 160;

const Mapping* mapping_at(const std::vector<Mapping>& mappings, uint64_t address) {
  for (const Mapping& mapping : mappings) {
    if (address >= mapping.start && address < mapping.end) {
      return &mapping;
    }
  }
  return nullptr;
}

bool is_accessible(const Mapping& mapping) {
  return mapping.readable || mapping.writable || mapping.executable;
}

bool is_stack_overflow(const CrashReport& report) {
  const RawCrash& raw = report.raw;
  const ThreadBacktrace* thread = crashed_thread(report.backtrace);
  if (raw.signal.number != SIGSEGV || raw.mappings.empty() || !thread) {
    return false;
  }
  const uint64_t fault = raw.signal.fault_address;
  const uint64_t stack_pointer = thread->registers.rsp;
  const Mapping* touched = mapping_at(raw.mappings, fault);
  if (stack_pointer == 0 || (touched && is_accessible(*touched))) {
    return false;
  }
  const auto above = std::find_if(raw.mappings.begin(), raw.mappings.end(), [&](const Mapping& m) {
    return m.start > fault && is_accessible(m);
  });
  if (above == raw.mappings.end() || !above->writable || fault + kPushReach < stack_pointer) {
    return false;
  }
  // Either the stack pointer is still inside and the push below it was not, or it has left with a
  // frame at most so big.
  const bool still_inside = stack_pointer >= above->start && stack_pointer <= above->end;
  const bool left_below =
      stack_pointer < above->start && above->start - stack_pointer <= kLargestFrame;
  return still_inside || left_below;
}

std::string address_in_words(uint64_t address) {
  std::string text = "address " + hex(address);
  if (address == 0) {
    return text + " (null pointer)";
  }
  if (address < kNullPage) {
    return text + " (null pointer + " + std::to_string(address) + ")";
  }
  if (const uint64_t below = 0 - address; below < kNullPage) {
    return text + " (null pointer - " + std::to_string(below) + ")";
  }
  return text;
}

// "read-only memory of libx.so", "memory without access rights"; of the mapping at `address`.
std::string memory_in_words(const CrashReport& report, uint64_t address) {
  const Mapping* mapping = mapping_at(report.raw.mappings, address);
  if (!mapping) {
    return "";
  }
  if (!is_accessible(*mapping) && mapping->path.empty()) {
    const std::string region = region_in_words(report, address);
    const std::string where = region == kNoAccess ? neighbour_in_words(report, address) : "";
    return region + (where.empty() ? "" : ", " + where);
  }
  std::string text = !is_accessible(*mapping) ? kNoAccess
                     : mapping->writable      ? "writable memory"
                     : mapping->executable    ? "read-only code"
                                              : "read-only memory";
  if (!mapping->path.empty()) {
    text += " of " + brief(base_name(mapping->path), kLongestName);
  }
  return text;
}

// Of an address that no pointer with a small offset could be.
std::string neighbour(const CrashReport& report) {
  const uint64_t address = report.raw.signal.fault_address;
  const bool is_near_null = address < kNullPage || 0 - address < kNullPage;
  return is_near_null ? "" : neighbour_in_words(report, address);
}

std::string in_parentheses(const std::string& text) {
  return text.empty() ? "" : " (" + text + ")";
}

std::string sender_in_words(const RawCrash& raw) {
  if (raw.signal.sender_pid == raw.pid) {
    return "the process itself";
  }
  std::string pid = "pid " + std::to_string(raw.signal.sender_pid) + ", uid " +
                    std::to_string(raw.signal.sender_uid);
  for (const Ancestor& ancestor : raw.ancestors) {
    if (ancestor.pid == raw.signal.sender_pid) {
      return brief(ancestor.name, kLongestName) + " (" + pid + ")";
    }
  }
  return pid;
}

// Of a death by a signal that somebody sent to end the process.
std::string killer_in_words(const RawCrash& raw) {
  if (!raw.sender) {
    return "somebody unknown";
  }
  if (raw.sender->kernel) {
    return "the kernel";
  }
  return brief(raw.sender->name, kLongestName) + " (pid " + std::to_string(raw.sender->pid) +
         ", uid " + std::to_string(raw.sender->uid) +
         (raw.sender->in_tree ? "" : ", not of this run") + ")";
}

// "AddressSanitizer: heap-use-after-free"
std::string finding_in_words(const SanitizerFinding& finding) {
  return finding.tool + ": " +
         (finding.kind.empty() ? "what it found went to its own report"
                               : brief(finding.kind, kLongestName));
}

// Nothing of the sort: "".
std::string instruction_fetch_in_words(const CrashReport& report) {
  const ThreadBacktrace* thread = crashed_thread(report.backtrace);
  const RawSignal& signal = report.raw.signal;
  const bool fetch = thread && signal.number == SIGSEGV &&
                     !register_values(thread->registers, report.raw.architecture).empty() &&
                     thread->registers.rip == signal.fault_address;
  if (!fetch) {
    return "";
  }
  const std::string jump = "jumped to " + address_in_words(signal.fault_address);
  if (signal.code == SEGV_MAPERR) {
    return jump + ", where nothing is mapped" + in_parentheses(neighbour(report));
  }
  return jump + ", which is not executable" +
         in_parentheses(memory_in_words(report, signal.fault_address));
}

// ", which it writes to", of the instruction that faulted; "" when it names no memory there or is not known.
std::string access_in_words(const CrashReport& report) {
  switch (fault_access(report)) {
    case FaultAccess::read:
      return ", which it reads";
    case FaultAccess::write:
      return ", which it writes to";
    case FaultAccess::read_and_write:
      return ", which it reads and writes";
    case FaultAccess::unknown:
      break;
  }
  return "";
}

// Of a code this build knows, its meaning, else its number.
std::string meaning_or_code(const RawSignal& signal) {
  std::string meaning = signal_code_meaning(signal.number, signal.code);
  return meaning.empty() ? "signal code " + std::to_string(signal.code) : meaning;
}

std::string fault_in_words(const CrashReport& report) {
  const RawCrash& raw = report.raw;
  const RawSignal& signal = raw.signal;
  const std::string address = address_in_words(signal.fault_address);
  std::string meaning = meaning_or_code(signal);
  if (signal.number == SIGFPE || signal.number == SIGTRAP || signal.number == SIGSYS) {
    return meaning;  // the address is that of the instruction, which the stack shows
  }
  if (signal.number == SIGILL) {
    return "illegal instruction (" + meaning + ")";
  }
  if (std::string jump = instruction_fetch_in_words(report); !jump.empty()) {
    return jump;
  }
  if (is_stack_overflow(report)) {
    return "stack overflow: the stack pointer left its mapping, at " + address;
  }
  if (signal.number == SIGSEGV && signal.code == SEGV_MAPERR) {
    return "nothing is mapped at " + address + in_parentheses(neighbour(report)) +
           access_in_words(report);
  }
  const std::string memory = memory_in_words(report, signal.fault_address);
  if (signal.number == SIGSEGV && signal.code == SEGV_ACCERR) {
    return "the mapping does not permit the access to " + address + in_parentheses(memory) +
           access_in_words(report);
  }
  return meaning + ", " + address + in_parentheses(memory) + access_in_words(report);
}

// The kernel ends a process with SIGSEGV when execve(2) fails behind the point of no return (begin_new_exec(),
// fs/exec.c). A fault interrupts no system call: orig_rax is -1 then.
bool died_in_exec(const CrashReport& report) {
  const ThreadBacktrace* thread = crashed_thread(report.backtrace);
  if (!thread || report.raw.signal.number != SIGSEGV || report.raw.signal.code != SI_KERNEL) {
    return false;
  }
  const uint64_t call = thread->registers.orig_rax;
  return report.raw.architecture == Architecture::i386 ? call == 11 || call == 358
                                                       : call == 59 || call == 322;
}

// The sentence part for signals of which the kernel tells no more than SI_KERNEL.
std::string kernel_signal_in_words(int number) {
  switch (number) {
    case SIGSEGV:
      return "a non-canonical address, or a privileged instruction";
    case SIGBUS:
      return "a non-canonical address in a stack access";
    case SIGTRAP:
      return "a breakpoint instruction (int3)";
    default:
      return signal_code_meaning(number, SI_KERNEL);
  }
}

const char* verb(const CrashReport& report) {
  if (report.raw.cause == Cause::timeout) {
    return "is";
  }
  if (report.raw.signal.number == 0) {
    return "was ended by";
  }
  const bool survived = report.raw.has_exit && !WIFSIGNALED(report.raw.wait_status);
  return survived ? "got" : "died of";
}

}  // namespace

std::string program_name(const RawCrash& crash) {
  if (crash.executable.empty() && crash.name.empty() && crash.pid != 0) {  // without /proc
    return "process " + std::to_string(crash.pid);
  }
  return brief(crash.executable.empty() ? crash.name : base_name(crash.executable), kLongestName);
}

std::string cause_in_words(const CrashReport& report) {
  const RawSignal& signal = report.raw.signal;
  switch (report.kind) {
    case CrashKind::oom:
      return "killed by the kernel, which had run out of memory";
    case CrashKind::sanitizer:
      return report.sanitizer ? finding_in_words(*report.sanitizer) : "a sanitizer's finding";
    case CrashKind::hang:
      if (report.raw.cause == Cause::timeout) {
        return "a hang: still running when the time was over";
      }
      return "a hang: killed by " + killer_in_words(report.raw) + ", which had waited too long";
    case CrashKind::killed:
      return "killed by " + killer_in_words(report.raw);
    case CrashKind::signal:
    case CrashKind::handled_signal:
      break;
  }
  if (has_sender(signal.number, signal.code)) {
    const bool own_abort = signal.number == SIGABRT && signal.sender_pid == report.raw.pid;
    return own_abort ? "aborted" + (report.abort_message.empty() || report.sanitizer
                                        ? ""
                                        : ": " + brief(report.abort_message, kLongestMessage))
                     : signal_code_meaning(signal.number, signal.code) + " by " +
                           sender_in_words(report.raw);
  }
  if (died_in_exec(report)) {
    return "execve failed when the old program was gone already: the new one cannot be loaded";
  }
  if (signal.code == SI_KERNEL) {
    return kernel_signal_in_words(signal.number);
  }
  if (has_fault_address(signal.number, signal.code)) {
    return fault_in_words(report);
  }
  return meaning_or_code(signal);
}

std::string event_name(const CrashReport& report) {
  if (report.raw.signal.number != 0) {
    return signal_name(report.raw.signal.number);
  }
  return report.sanitizer ? report.sanitizer->tool : "hang";
}

std::string signal_in_words(const CrashReport& report) {
  if (report.raw.signal.number == 0) {
    return cause_in_words(report);
  }
  return signal_name(report.raw.signal.number) + ": " + cause_in_words(report);
}

std::string test_in_words(const TestCase& test) {
  return brief(full_name(test), kLongestName);
}

std::string headline(const CrashReport& report, const std::string& directory) {
  std::string program = program_name(report.raw);
  if (program.empty()) {
    program = "a process";
  }
  std::string sentence = program + " " + verb(report) + " " + signal_in_words(report);
  if (const std::optional<StackLine> line = culprit(report)) {
    sentence += ", in " + function_text(*line, report.backtrace);
    const std::string place = file_and_line(line->location(), directory);
    sentence += place.empty() ? "" : " at " + place;
  }
  if (report.kind == CrashKind::handled_signal) {
    sentence += report.followed_by
                    ? "; its handler ended in " + signal_name(report.followed_by->number)
                    : "; its handler did not return";
  }
  if (!report.test.name.empty()) {
    sentence += ", in test " + test_in_words(report.test);
  }
  return sentence;
}

}  // namespace crashcrawler
