// Why the alternate stack is looked for on the stack itself: the kernel tells nobody else what sigaltstack(2) has set,
// but every signal frame holds a copy of it.
#include "runner/capture/tracer/death.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <string_view>

#include "runner/capture/live_variables.h"

namespace crashcrawler {
namespace {

constexpr uint32_t kPatience = 16, kPatienceOfOthers = 2;  // pages
constexpr uint64_t kPage = CC_PAGE_SIZE, kWord = sizeof(uint64_t);
constexpr uint64_t kUserCode64 = 0x33;  // __USER_CS, arch/x86/include/asm/segment.h

// The words from `address` on, up to what cannot be read.
std::vector<uint64_t> words_at(const ProcessTrain& train, uint64_t address, size_t most) {
  std::vector<uint64_t> words;
  while (words.size() < most) {
    const uint64_t end =
        std::min(address + (most - words.size()) * kWord, address / kPage * kPage + kPage);
    const std::string bytes = train.memory().read(address, end - address);
    if (bytes.size() < kWord) {
      break;
    }
    const size_t before = words.size();
    words.resize(before + bytes.size() / kWord);
    std::memcpy(&words[before], bytes.data(), bytes.size() / kWord * kWord);
    address = end;
  }
  return words;
}

void send_piece(const ProcessTrain& train, cc_bytes_purpose purpose, uint64_t address,
                const std::string& bytes) {
  auto record = train.begin<cc_bytes>(CC_RECORD_BYTES);
  record.address = address;
  record.purpose = static_cast<__u16>(purpose);
  record.length = static_cast<uint32_t>(bytes.size());
  std::memcpy(record.bytes, bytes.data(), bytes.size());
  record.header.size =
      static_cast<uint32_t>((offsetof(cc_bytes, bytes) + bytes.size() + 7) & ~size_t{7});
  train.send(record);
}

// CC_MEMORY_BYTES from `before` bytes before `address` on; what lies in another page than `address` is left out when it
// cannot be read. Nothing when `address` cannot be.
void send_around(const ProcessTrain& train, uint64_t address, uint64_t before,
                 cc_bytes_purpose purpose) {
  if (address < kPage || !region_at(train.regions(), address)) {
    return;
  }
  uint64_t start = address - before;
  std::string bytes = train.memory().read(start, CC_MEMORY_BYTES);
  if (bytes.empty()) {
    const uint64_t page = address / kPage * kPage;
    start = std::max(start, page);
    bytes = train.memory().read(start, std::min<uint64_t>(page + kPage - start, CC_MEMORY_BYTES));
  }
  if (!bytes.empty()) {
    send_piece(train, purpose, start, bytes);
  }
}

void send_register_memory(const ProcessTrain& train, const user_regs_struct& registers) {
  constexpr uint64_t kStackKeptAnyway = 4096;
  const std::array<uint64_t, 16> values = {
      registers.r15, registers.r14, registers.r13, registers.r12, registers.rbp, registers.rbx,
      registers.r11, registers.r10, registers.r9,  registers.r8,  registers.rax, registers.rcx,
      registers.rdx, registers.rsi, registers.rdi, registers.rip};
  for (const uint64_t value : values) {
    if (value - (registers.rsp - CC_REDZONE) >= kStackKeptAnyway) {
      send_around(train, value, 64, CC_BYTES_MEMORY);
    }
  }
}

// glibc's __abort_msg points to {u32 size, char text[]}.
void send_abort_message(const ProcessTrain& train) {
  const uint64_t variable = find_variable(train.memory(), train.auxv(), "__abort_msg");
  const auto message = variable == 0 ? 0 : train.memory().at<uint64_t>(variable);
  for (uint64_t i = 0; message != 0 && i < 4; ++i) {
    send_around(train, message + sizeof(uint32_t) + i * CC_MEMORY_BYTES, 0, CC_BYTES_ABORT_MESSAGE);
  }
}

// Whatever throws or ends on an exception has its header on the stack (bpf/memory.bpf.h).
void send_exception(const ProcessTrain& train, uint64_t stack_pointer) {
  constexpr uint64_t kGnuCpp = 0x474e5543432b2b00, kHeaderSize = 32;
  constexpr size_t kWords = 1024, kWordsOfException = 6;
  const std::vector<uint64_t> words = words_at(train, stack_pointer, kWords);
  const auto found = std::ranges::find_if(words, [&](uint64_t word) {
    return word % kWord == 0 && region_at(train.regions(), word) &&
           train.memory().at<uint64_t>(word) == kGnuCpp;
  });
  if (found == words.end()) {
    return;
  }
  const uint64_t header = *found;
  send_around(train, header, CC_EXCEPTION_BEFORE, CC_BYTES_EXCEPTION);
  const auto type = train.memory().at<uint64_t>(header - CC_EXCEPTION_BEFORE);
  send_around(train, type, 0, CC_BYTES_MEMORY);
  send_around(train, train.memory().at<uint64_t>(type + kWord), 0, CC_BYTES_MEMORY);
  for (size_t i = 0; i < kWordsOfException; ++i) {
    send_around(train, train.memory().at<uint64_t>(header + kHeaderSize + i * kWord), 0,
                CC_BYTES_MEMORY);
  }
}

// The report of AddressSanitizer that hangs on the stack while it ends the process (bpf/sanitizer.bpf.h); 0: none does.
uint64_t find_report(const ProcessTrain& train, uint64_t stack_pointer) {
  constexpr uint64_t kLine = 0x3d3d3d3d3d3d3d3d;  // "========"
  constexpr size_t kWords = 256;
  for (const uint64_t word : words_at(train, stack_pointer, kWords)) {
    if (word != 0 && word % kPage == 0 && train.memory().at<uint64_t>(word) == kLine) {
      return word;
    }
  }
  return 0;
}

// Where the handler on an alternate stack was called from: the stack pointer in the outermost signal frame that lies on
// the stack it tells of itself (struct rt_sigframe, arch/x86/include/asm/sigframe.h). 0: there is none.
uint64_t interrupted_stack(const ProcessTrain& train, uint64_t stack_pointer) {
  constexpr size_t kSize = 2, kRsp = 18, kCs = 21;  // words from uc_stack on
  constexpr size_t kWords = 32 << 10;
  const std::vector<uint64_t> words = words_at(train, stack_pointer, kWords);
  uint64_t interrupted = 0;
  for (size_t i = 0; i + kCs < words.size(); ++i) {
    const uint64_t slot = stack_pointer + i * kWord;
    if (slot - words[i] < words[i + kSize] && stack_pointer - words[i] < words[i + kSize] &&
        (words[i + kCs] & 0xffff) == kUserCode64) {
      interrupted = words[i + kRsp];
    }
  }
  return interrupted;
}

// What began it all, of a stack that is deeper than the `kept` bytes above `stack_pointer`: the kernel put the arguments
// of the program at its other end, or the C library its thread control block, to which fs points.
void send_stack_end(const ProcessTrain& train, const DyingThread& thread, uint64_t stack_pointer,
                    uint64_t main_stack, uint64_t kept) {
  constexpr uint64_t kEnd = 8 << 10, kLargest = 1 << 30;
  const uint64_t top = main_stack - stack_pointer < thread.registers.fs_base - stack_pointer
                           ? main_stack
                           : thread.registers.fs_base;
  if (top - stack_pointer > kept && top - stack_pointer < kLargest) {
    const uint64_t end = (top + kPage - 1) / kPage * kPage;
    train.send_memory(CC_BYTES_STACK, thread.tid, end - kEnd, end);
  }
}

void send_far_stacks(const ProcessTrain& train, const DyingThread& thread, uint64_t main_stack,
                     uint32_t stack_bytes) {
  const uint64_t interrupted = interrupted_stack(train, thread.registers.rsp);
  if (interrupted != 0) {
    const uint64_t from = (interrupted - CC_REDZONE) / kPage * kPage;
    train.send_memory(CC_BYTES_STACK, thread.tid, from, from + stack_bytes, kPatience);
  }
  send_stack_end(train, thread, interrupted != 0 ? interrupted : thread.registers.rsp, main_stack,
                 stack_bytes);
}

void copy_siginfo(__u8 (&to)[CC_SIGINFO_SIZE], const siginfo_t& info) {
  static_assert(sizeof info >= CC_SIGINFO_SIZE);
  std::memcpy(to, &info, sizeof to);
}

// Whether the handler has returned cannot be seen: a stop at each system call would be needed.
void send_first_signal(const ProcessTrain& train, const DyingThread& thread, uint32_t stack_bytes) {
  const Delivered& first = *thread.handled;
  auto record = train.begin<cc_first_signal>(CC_RECORD_FIRST_SIGNAL);
  record.tid = static_cast<uint32_t>(thread.tid);
  record.signal = static_cast<uint32_t>(first.signal);
  record.count = thread.handled_count;
  record.handler = CC_HANDLER_UNKNOWN;
  copy_siginfo(record.siginfo, first.info);
  record.registers = record_of(first.registers);
  train.send(record);
  const uint64_t from = (first.registers.rsp - CC_REDZONE) / kPage * kPage;
  train.send_memory(CC_BYTES_STACK, thread.tid, from, from + stack_bytes, kPatience);
  send_register_memory(train, first.registers);
}

}  // namespace

void send_death(ProcessTrain& train, cc_cause cause, int signal, const DyingThread& thread,
                const std::vector<AncestorRecord>& ancestors, const SenderRecord& sender,
                const StackSizes& sizes) {
  const bool may_have_spoken = cause == CC_CAUSE_EXIT || signal == SIGABRT;
  cc_process process = train.process(cause, thread.tid);
  process.signal = static_cast<uint32_t>(signal);
  if (process.comm[0] == '\0') {
    copy_text(process.comm, thread.program);
  }
  if (thread.by) {
    copy_siginfo(process.siginfo, thread.by->info);
  } else if (signal != 0) {
    siginfo_t unknown{};
    unknown.si_signo = signal;
    unknown.si_code = SI_KERNEL;
    copy_siginfo(process.siginfo, unknown);
  }
  train.send(process);
  train.send_ancestors(ancestors);
  if (sender) {
    cc_sender record = *sender;
    record.header = train.begin<cc_sender>(CC_RECORD_SENDER).header;
    train.send(record);
  }
  train.send_surroundings();
  train.send_environment();
  train.send_thread(
      thread.tid, CC_THREAD_CRASHED,
      {may_have_spoken ? uint32_t{CC_DEAD_STACK} : uint32_t{CC_REDZONE}, sizes.crash, kPatience},
      thread.registers);
  if (train.is_withheld()) {
    return;
  }
  send_far_stacks(train, thread, process.start_stack, sizes.crash);
  if (may_have_spoken) {
    if (const uint64_t report = find_report(train, thread.registers.rsp); report != 0) {
      train.send_memory(CC_BYTES_TEXT, 0, report, report + CC_TEXT_BYTES, 1);
    }
  }
  if (cause == CC_CAUSE_CORE_SIGNAL) {
    send_register_memory(train, thread.registers);
    if (signal == SIGABRT) {
      send_abort_message(train);
      send_exception(train, thread.registers.rsp);
    }
  }
  if (cause != CC_CAUSE_KILLED && thread.handled) {
    send_first_signal(train, thread, sizes.crash);
  }
}

void send_other_thread(const ProcessTrain& train, pid_t tid, const user_regs_struct& registers,
                       const StackSizes& sizes) {
  train.send_thread(tid, 0, {CC_REDZONE, sizes.thread, kPatienceOfOthers}, registers);
}

bool is_exit_group(const user_regs_struct& registers) {
  constexpr uint64_t kExitGroup = 231, kExitGroup32 = 252;
  return registers.orig_rax == kExitGroup || registers.orig_rax == kExitGroup32;
}

// libc.so.6, libc-2.31.so, libc.musl-x86_64.so.1, ld-musl-x86_64.so.1
bool is_in_libc(const ProcessTrain& train, uint64_t place) {
  const Region* region = region_at(train.regions(), place);
  const std::string_view path = region ? std::string_view(region->path) : std::string_view();
  const std::string_view name = path.substr(path.rfind('/') + 1);
  return name.starts_with("libc.") || name.starts_with("libc-") || name.starts_with("ld-m");
}

// Its words are mostly gone from memory by then. But AddressSanitizer and UndefinedBehaviorSanitizer, whose runtimes may
// be the same file, leave something of theirs: the report on the stack, the line below the stack pointer. So an exit by
// a runtime that has nothing else to say is this one.
bool LeakCheck::is_refused(const ProcessTrain& train, const user_regs_struct& registers) {
  constexpr std::string_view kFinding = "runtime error: ";
  const Region* code = region_at(train.regions(), registers.rip);
  if (!code || code->inode == 0 || find_report(train, registers.rsp) != 0 ||
      !has_runtime(train, *code)) {
    return false;
  }
  const uint64_t end = registers.rsp / kWord * kWord;
  std::string dead;
  for (const uint64_t word : words_at(train, end - CC_DEAD_STACK, CC_DEAD_STACK / kWord)) {
    dead.append(reinterpret_cast<const char*>(&word), kWord);
  }
  return dead.find(kFinding) == std::string::npos;
}

bool LeakCheck::has_runtime(const ProcessTrain& train, const Region& code) {
  // In two pieces: our own programs are looked through as well, when a run is inside of another, and must not have it.
  static const std::string kWords = std::string("LeakSanitizer does not work ") + "under ptrace (";
  constexpr uint64_t kPiece = 1 << 20, kMost = 64 << 20;
  const auto [known, is_new] = runtimes_.try_emplace({code.device, code.inode}, false);
  uint64_t looked_at = 0;
  for (const Region& region : train.regions()) {
    const bool is_data = (region.flags & 7) == 1 || region.start == code.start;
    if (!is_new || region.inode != code.inode || region.device != code.device || !is_data) {
      continue;
    }
    for (uint64_t at = region.start; at < region.end && looked_at < kMost && !known->second;
         at += kPiece, looked_at += kPiece) {
      const uint64_t end = std::min(region.end, at + kPiece + kWords.size());
      known->second = train.memory().read(at, end - at).find(kWords) != std::string::npos;
    }
  }
  return known->second;
}

}  // namespace crashcrawler
