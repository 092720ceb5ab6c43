// The stream comes from a program we trust, through a ring that may have been full and a socket
// that may have been cut: so sizes are checked, and what is missing is said on the crash it is
// missing from.
#include "runner/capture/pending_crash.h"

#include <sys/wait.h>

#include <algorithm>
#include <bit>
#include <csignal>
#include <cstring>
#include <optional>
#include <utility>

#include "runner/capture/record_values.h"

namespace crashcrawler {
namespace {

constexpr uint32_t kVmRead = 1, kVmWrite = 2, kVmExec = 4, kVmShared = 8;  // include/linux/mm.h
constexpr uint64_t kUserCode32 = 0x23;  // __USER32_CS, arch/x86/include/asm/segment.h

// Nothing was read of the crashing thread's stack, though there is one where it points to.
bool lacks_stack(const RawCrash& crash) {
  if (crash.threads.empty() || !crash.threads.front().crashed ||
      !crash.threads.front().stack.empty()) {
    return false;
  }
  const uint64_t stack_pointer = crash.threads.front().registers.rsp;
  return std::ranges::any_of(crash.mappings, [&](const Mapping& mapping) {
    return mapping.start <= stack_pointer && stack_pointer < mapping.end && mapping.readable;
  });
}

}  // namespace

PendingCrash::PendingCrash(const cc_key& key, std::chrono::nanoseconds boot_to_wall)
    : boot_to_wall_(boot_to_wall) {
  crash.pid = static_cast<pid_t>(key.tgid);
  crash.start_ns = key.start_ns;
}

void PendingCrash::note(std::string text) {
  if (std::ranges::find(crash.soft_errors, text) == crash.soft_errors.end()) {
    crash.soft_errors.push_back(std::move(text));
  }
}

void PendingCrash::take(const cc_process& process) {
  has_process_ = true;
  crash.pid = static_cast<pid_t>(process.ns_tgid ? process.ns_tgid : process.header.key.tgid);
  crash.crashing_tid = static_cast<pid_t>(process.ns_tid ? process.ns_tid : process.tid);
  crash.time = wall_time(process.time_ns, boot_to_wall_);
  crash.started = wall_time(process.header.key.start_ns, boot_to_wall_);
  crash.signal = signal_of(process.signal, process.siginfo);
  crash.cause = static_cast<Cause>(
      std::clamp<uint32_t>(process.cause, CC_CAUSE_CORE_SIGNAL, CC_CAUSE_TIMEOUT) -
      CC_CAUSE_CORE_SIGNAL);
  crash.alive = crash.cause == Cause::timeout;
  crash.name = text_of(process.comm);
  crash.uid = process.uid;
  crash.effective_uid = process.euid;
  crash.gid = process.gid;
  crash.parent_pid = static_cast<pid_t>(process.parent_tgid);
  crash.session = static_cast<pid_t>(process.session);
  crash.inner_pid = static_cast<pid_t>(process.inner_tgid);
  crash.pid_namespace_depth = static_cast<int>(process.pid_level);
  crash.mount_namespace = process.mnt_ns;
  crash.heap_start = process.start_brk;
  crash.heap_end = process.brk;
  crash.stack_start = process.start_stack;
  crash.environment_start = process.env_start;
  crash.environment_end = process.env_end;
  if (process.memory_withheld == CC_MEMORY_REFUSED) {
    note(
        "its memory could not be read, so there are no stacks: it is not dumpable, or another "
        "user's, and that takes "
        "CAP_SYS_PTRACE (ptrace(2))");
  } else if (process.memory_withheld) {
    note(
        "memory, arguments and registers are withheld: the process ran with other credentials than "
        "the caller (setuid)");
  } else if (process.arg_end > process.arg_start) {  // not while execve(2) is at work
    argv_bytes_ = process.arg_end - process.arg_start;
  }
  auxv_.assign(process.auxv, process.auxv + std::min<size_t>(process.auxv_words, CC_AUXV_WORDS));
}

void PendingCrash::take(const cc_parent& parent) {
  Ancestor ancestor;
  ancestor.pid = static_cast<pid_t>(parent.ns_tgid ? parent.ns_tgid : parent.parent.tgid);
  ancestor.name = text_of(parent.comm);
  const size_t length = std::min<size_t>(parent.command_length, sizeof parent.command);
  ancestor.arguments = split_at_nul({parent.command, length});
  crash.ancestors.push_back(std::move(ancestor));
}

void PendingCrash::take(const cc_path& path, size_t available) {
  std::string text = path_of(path, available);
  if (path.purpose == CC_PATH_IN_FILE_SYSTEM) {
    in_file_systems_.push_back(
        {device_major(path.device), device_minor(path.device), std::move(text)});
    return;
  }
  if (path.flags & CC_PATH_TRUNCATED) {
    note("a path was too long to be kept whole: it ends in " + text);
  }
  if (path.purpose == CC_PATH_EXE) {
    crash.executable = std::move(text);
  } else if (path.purpose == CC_PATH_CWD) {
    crash.working_directory = std::move(text);
  } else if (path.purpose == CC_PATH_ROOT) {
    crash.root_directory = std::move(text);
  } else if (path.purpose == CC_PATH_CGROUP) {
    crash.cgroup = std::move(text);
  } else if (path.purpose == CC_PATH_MAPPING) {
    files_[{path.device, path.inode}] = {std::move(text), (path.flags & CC_PATH_DELETED) != 0,
                                         std::exchange(in_file_systems_, {})};
  }
}

void PendingCrash::take(const cc_thread& record) {
  RawThread thread;
  thread.tid = static_cast<pid_t>(record.ns_tid ? record.ns_tid : record.tid);
  thread.name = text_of(record.comm);
  thread.crashed = (record.flags & CC_THREAD_CRASHED) != 0;
  thread.registers = std::bit_cast<Registers>(record.registers);  // field for field the same
  if (thread.crashed && thread.registers.cs == kUserCode32) {
    crash.architecture = Architecture::i386;
  }
  crash.threads.push_back(std::move(thread));
  threads_by_host_tid_.push_back(static_cast<pid_t>(record.tid));
}

void PendingCrash::take(const cc_bytes& record, size_t available) {
  const size_t length = std::min<size_t>({record.length, available, sizeof record.bytes});
  if (length < record.length) {
    note("a record was cut short");
  }
  MemoryRange range{record.address,
                    std::string(reinterpret_cast<const char*>(record.bytes), length)};
  if (record.purpose == CC_BYTES_ARGV) {
    argv_.push_back(std::move(range));
  } else if (record.purpose == CC_BYTES_TEXT) {
    report_.push_back(std::move(range));
  } else if (record.purpose == CC_BYTES_MEMORY) {
    crash.memory.push_back(std::move(range));
  } else if (record.purpose == CC_BYTES_ABORT_MESSAGE) {
    abort_message_.push_back(std::move(range));
  } else if (record.purpose == CC_BYTES_EXCEPTION) {
    crash.exception = record.address + CC_EXCEPTION_BEFORE;
    crash.memory.push_back(std::move(range));
  } else if (record.purpose == CC_BYTES_STACK) {
    const pid_t tid = static_cast<pid_t>(record.tid);
    if (stacks_.empty() || stacks_.back().first != tid) {
      stacks_.emplace_back(tid, std::vector<MemoryRange>());
    }
    stacks_.back().second.push_back(std::move(range));
  }
}

void PendingCrash::take(const cc_mapping& record) {
  Mapping mapping;
  mapping.start = record.start;
  mapping.end = record.end;
  mapping.file_offset = record.file_offset;
  mapping.readable = (record.flags & kVmRead) != 0;
  mapping.writable = (record.flags & kVmWrite) != 0;
  mapping.executable = (record.flags & kVmExec) != 0;
  mapping.shared = (record.flags & kVmShared) != 0;
  mapping.inode = record.inode;
  mapping.device_major = device_major(record.device);
  mapping.device_minor = device_minor(record.device);
  crash.mappings.push_back(std::move(mapping));
}

void PendingCrash::take(const cc_first_signal& record) {
  FirstSignal first;
  first.count = record.count;
  first.place_only = record.place_only != 0;
  if (record.handler != CC_HANDLER_UNKNOWN && crash.architecture == Architecture::x86_64) {
    first.handler =
        record.handler == CC_HANDLER_RETURNED ? HandlerState::returned : HandlerState::not_returned;
  }
  first.registers = std::bit_cast<Registers>(record.registers);
  if (first.place_only) {
    first.signal.number = static_cast<int>(record.signal);
    first.signal.code =
        SI_KERNEL;  // by whom and why is not known; not by a process, which 0 would say
  } else {
    first.signal = signal_of(record.signal, record.siginfo);
  }
  crash.first_signal = std::move(first);
}

void PendingCrash::take(const cc_sender& from) {
  Sender sender;
  sender.pid = static_cast<pid_t>(from.ns_tgid);
  sender.kernel = from.sender.tgid == 0;
  sender.in_tree = from.in_tree != 0;
  sender.namespace_end = from.namespace_end != 0;
  sender.uid = from.uid;
  sender.name = text_of(from.comm);
  const size_t length = std::min<size_t>(from.command_length, sizeof from.command);
  sender.arguments = split_at_nul({from.command, length});
  crash.sender = std::move(sender);
  sender_signal_ = static_cast<int>(from.signal);
}

void PendingCrash::take(const cc_variable& record) {
  const std::string_view text(record.text, std::min<size_t>(record.length, sizeof record.text));
  const size_t separator = std::min(text.find('='), text.size());
  EnvironmentVariable variable{std::string(text.substr(0, separator)), ""};
  if (separator < text.size()) {
    variable.value = text.substr(separator + 1);
  }
  if (text.size() >= sizeof record.text - 1) {
    note("the environment variable " + variable.name + " is longer than what was kept of it");
  }
  crash.environment.push_back(std::move(variable));
}

void PendingCrash::take(const cc_exit& exit) {
  called_off = exit.called_off != 0 && !has_process_ && !completed;
  crash.oom_killed = exit.oom_killed != 0;
  crash.environment_is_initial = exit.environment == CC_ENVIRONMENT_INITIAL;
  crash.has_exit = true;
  crash.wait_status = exit.exit_code;
  crash.lost_records = exit.lost_records;
  if (exit.lost_records > 0) {
    note(std::to_string(exit.lost_records) +
         " records of this crash did not fit the ring (--ring-size) and are missing");
  }
  if (exit.mappings_state != CC_MAPPINGS_WALKED) {
    note("the memory map could not be walked when the process died: no modules, no symbols");
  }
  if (exit.mappings_left_out > 0) {
    note(std::to_string(exit.mappings_left_out) + " of " + std::to_string(exit.mappings) +
         " regions of the memory map were left out");
  }
}

// False: not a record this version knows, or too short for its kind.
bool PendingCrash::take(std::string_view record) {
  uint16_t type = 0;
  std::memcpy(&type, record.data(), sizeof type);
  const auto taken = [&](const auto& parsed) {
    if (parsed) {
      take(*parsed);
    }
    return parsed.has_value();
  };
  const auto taken_bytes = [&](const auto& parsed, size_t fixed) {
    if (parsed) {
      take(*parsed, record.size() - fixed);
    }
    return parsed.has_value();
  };
  switch (type) {
    case CC_RECORD_PROCESS:
      return taken(as<cc_process>(record));
    case CC_RECORD_PARENT:
      return taken(as<cc_parent>(record));
    case CC_RECORD_PATH: {
      constexpr size_t kFixed = offsetof(cc_path, bytes);
      return taken_bytes(as<cc_path>(record, kFixed), kFixed);
    }
    case CC_RECORD_THREAD:
      return taken(as<cc_thread>(record));
    case CC_RECORD_BYTES: {
      constexpr size_t kFixed = offsetof(cc_bytes, bytes);
      return taken_bytes(as<cc_bytes>(record, kFixed), kFixed);
    }
    case CC_RECORD_MAPPING:
      return taken(as<cc_mapping>(record));
    case CC_RECORD_FIRST_SIGNAL:
      return taken(as<cc_first_signal>(record));
    case CC_RECORD_SENDER:
      return taken(as<cc_sender>(record));
    case CC_RECORD_VARIABLE:
      return taken(as<cc_variable>(record));
    case CC_RECORD_EXIT:
      return taken(as<cc_exit>(record));
    default:
      return false;
  }
}

// Nobody asks for more of it than that it happened.
void PendingCrash::let_go() {
  for (std::vector<MemoryRange>* bytes : {&argv_, &report_, &abort_message_}) {
    std::vector<MemoryRange>().swap(*bytes);
  }
  std::vector<uint64_t>().swap(auxv_);
  std::vector<PathInFileSystem>().swap(in_file_systems_);
  files_.clear();
}

// Its words have the size of those of the process: two of a 32-bit one are in each of ours.
void PendingCrash::split_auxv() {
  std::vector<uint64_t> words;
  for (const uint64_t word : auxv_) {
    if (crash.architecture == Architecture::i386) {
      words.insert(words.end(), {word & UINT32_MAX, word >> 32});
    } else {
      words.push_back(word);
    }
  }
  for (size_t i = 0; i + 1 < words.size() && words[i] != 0; i += 2) {  // ends at AT_NULL
    crash.auxv.emplace_back(words[i], words[i + 1]);
  }
}

// The text that begins where `ranges` do, up to its NUL.
std::string text_in(std::vector<MemoryRange>& ranges) {
  join(ranges);
  std::string text;
  for (const MemoryRange& range : ranges) {
    text += range.bytes.substr(0, range.bytes.find('\0'));
    if (range.bytes.find('\0') != std::string::npos) {
      break;
    }
  }
  return text;
}

void PendingCrash::split_arguments() {
  join(argv_);
  std::string block;
  for (const MemoryRange& range : argv_) {
    block += range.bytes;
  }
  constexpr uint64_t kKept = uint64_t{CC_ARGV_PAGES} * CC_PAGE_SIZE;
  if (block.size() < std::min(argv_bytes_, kKept)) {
    note("the argument list could not be read, or not all of it");
  } else if (block.size() < argv_bytes_) {
    note("the argument list is longer than what was kept of it");
  }
  crash.arguments = split_at_nul(block);
}

// What has come is put in its place; called again when more came late.
void PendingCrash::finish() {
  if (!completed) {
    split_auxv();
    split_arguments();
    crash.report_text = text_in(report_);
    crash.abort_message = text_in(abort_message_);
  }
  for (auto& [tid, ranges] : stacks_) {
    const auto owner = std::ranges::find(threads_by_host_tid_, tid);
    if (owner == threads_by_host_tid_.end()) {
      note("stack bytes came for a thread whose registers are missing");
      continue;
    }
    RawThread& thread = crash.threads[static_cast<size_t>(owner - threads_by_host_tid_.begin())];
    std::ranges::move(ranges, std::back_inserter(thread.stack));
  }
  stacks_.clear();
  threads_by_host_tid_.clear();
  for (RawThread& thread : crash.threads) {
    join(thread.stack);
  }
  std::stable_partition(crash.threads.begin(), crash.threads.end(),
                        [](const RawThread& thread) { return thread.crashed; });
  join(crash.memory);
  if (!completed && crash.cause == Cause::exit && crash.first_signal &&
      crash.first_signal->handler == HandlerState::not_returned &&
      !crash.first_signal->place_only) {
    RawThread& then = crash.threads.emplace_back();
    then.at_fault = true;
    then.registers = crash.first_signal->registers;
  }
  if (crash.threads.empty() || !crash.threads.front().crashed) {
    note("the registers of the crashing thread are missing");
  }

  std::ranges::stable_sort(crash.mappings, {}, &Mapping::start);
  for (Mapping& mapping : crash.mappings) {
    const auto file =
        files_.find({mapping.device_major << 20 | mapping.device_minor, mapping.inode});
    if (mapping.inode != 0 && file != files_.end()) {
      mapping.path = file->second.path;
      mapping.deleted = file->second.deleted;
      mapping.in_file_systems = file->second.in_file_systems;
    }
  }
  if (lacks_stack(crash)) {
    crash.no_stack = true;
    note("nothing of the stack of the crashing thread could be read");
  }
  if (crash.cause == Cause::killed) {
    if (crash.has_exit) {
      crash.signal.number = WTERMSIG(crash.wait_status);  // every thread got a SIGKILL instead
    }
    if (crash.sender && crash.sender->kernel) {
      crash.signal.code = SI_KERNEL;  // the siginfo of a SIGKILL is empty, which reads as SI_USER
    } else if (crash.sender && crash.signal.sender_pid == 0) {
      crash.signal.sender_pid =
          crash.sender->pid;  // so is that of a thread that the group took along
      crash.signal.sender_uid = crash.sender->uid;
    }
  }
  if (crash.sender && sender_signal_ != crash.signal.number) {
    crash.sender.reset();  // of an earlier signal that did not end it
  }
  if (!has_process_) {
    note("the first record of this crash is missing: signal and identity are what its exit says");
    crash.signal.number = WTERMSIG(crash.wait_status);
  }
}

}  // namespace crashcrawler
