#include "runner/report/core_notes.h"

#include <elf.h>

#include "runner/base/signal_names.h"

namespace crashcrawler {
namespace {

constexpr uint64_t kPage = 4096;
constexpr size_t kSiginfoSize = 128;                   // of siginfo_t
constexpr size_t kNameSize = 16, kArgumentsSize = 80;  // ELF_PRARGSZ, <sys/procfs.h>

using Fields = FieldWriter;

// user_regs_struct (<sys/user.h>) of the process's kind.
void write_registers(Fields& fields, const Registers& r, Architecture architecture) {
  if (architecture == Architecture::i386) {
    // The data segments of 32-bit programs are the flat one, and %gs holds the TLS; neither is captured.
    for (const uint64_t value :
         {r.rbx, r.rcx, r.rdx, r.rsi, r.rdi, r.rbp, r.rax, r.ss, r.ss, uint64_t{0}, uint64_t{0},
          r.orig_rax, r.rip, r.cs, r.rflags, r.rsp, r.ss}) {
      fields.word(value);
    }
    return;
  }
  for (const uint64_t value : {r.r15,       r.r14,      r.r13,     r.r12,       r.rbp,
                               r.rbx,       r.r11,      r.r10,     r.r9,        r.r8,
                               r.rax,       r.rcx,      r.rdx,     r.rsi,       r.rdi,
                               r.orig_rax,  r.rip,      r.cs,      r.rflags,    r.rsp,
                               r.ss,        r.fs_base,  r.gs_base, uint64_t{0}, uint64_t{0},
                               uint64_t{0}, uint64_t{0}}) {  // ds es fs gs: 0 in 64-bit code
    fields.word(value);
  }
}

// struct elf_prstatus (<sys/procfs.h>)
std::string thread_status(const CrashReport& report, const ThreadBacktrace& thread) {
  const RawCrash& raw = report.raw;
  const int signal = thread.crashed ? raw.signal.number : 0;
  Fields fields(raw.architecture);
  fields.u32(signal).u32(0).u32(0);                    // pr_info
  fields.u16(signal).align_to_word().word(0).word(0);  // pr_cursig, pr_sigpend, pr_sighold
  fields.u32(thread.tid).u32(raw.parent_pid).u32(raw.pid).u32(raw.session);
  for (int i = 0; i < 8; ++i) {  // four times of struct timeval: not known
    fields.word(0);
  }
  write_registers(fields, thread.registers, raw.architecture);
  return fields.u32(0).align_to_word().take();  // pr_fpvalid
}

// struct elf_prpsinfo; uid and gid have 16 bits in that of i386.
std::string process_info(const RawCrash& raw) {
  const size_t id_size = raw.architecture == Architecture::i386 ? 2 : 4;
  std::string arguments;
  for (const std::string& argument : raw.arguments) {
    arguments += (arguments.empty() ? "" : " ") + argument;
  }
  Fields fields(raw.architecture);
  fields.raw(std::string_view("\0R\0\0", 4)).align_to_word().word(0);  // pr_state to pr_flag
  fields.number(raw.uid, id_size).number(raw.gid, id_size);
  fields.u32(raw.pid).u32(raw.parent_pid).u32(raw.pid).u32(raw.session);
  return fields.text(raw.name, kNameSize).text(arguments, kArgumentsSize).take();
}

std::string signal_info(const RawCrash& raw) {
  const RawSignal& signal = raw.signal;
  Fields fields(raw.architecture);
  fields.u32(signal.number).u32(signal.error).u32(signal.code).align_to_word();
  if (has_sender(signal.number, signal.code)) {
    fields.u32(signal.sender_pid).u32(signal.sender_uid);
  } else {
    fields.word(signal.fault_address);
  }
  return fields.fill(kSiginfoSize).take();
}

std::string auxiliary_vector(const RawCrash& raw) {
  Fields fields(raw.architecture);
  for (const auto& [type, value] : raw.auxv) {
    fields.word(type).word(value);
  }
  return fields.word(AT_NULL).word(0).take();
}

// Only what a debugger may read from the file in place of memory: of a .data section it would show
// what was there before the program began, and not say so.
std::string mapped_files(const RawCrash& raw, const PinnedFiles& files,
                         const CoreModules& modules) {
  Fields ranges(raw.architecture), names(raw.architecture);
  uint64_t count = 0;
  for (const Mapping& mapping : raw.mappings) {
    if (!modules.shows_file(mapping)) {
      continue;
    }
    const auto pinned = files.find(file_key(mapping));
    const bool changed = pinned != files.end() && pinned->second.changed;
    ranges.word(mapping.start).word(mapping.end).word(mapping.file_offset / kPage);
    names.text(name_in_core(mapping.path, mapping.deleted, changed));
    ++count;
  }
  Fields fields(raw.architecture);
  return fields.word(count).word(kPage).raw(ranges.take()).raw(names.take()).take();
}

// Elf64_Nhdr and Elf32_Nhdr are the same; name and content are padded to 4 bytes in both.
void add_note(std::string& notes, std::string_view owner, uint32_t type,
              const std::string& content) {
  Fields fields(Architecture::x86_64);
  fields.u32(owner.size() + 1).u32(content.size()).u32(type).text(owner).align(4);
  notes += fields.raw(content).align(4).take();
}

}  // namespace

std::string core_notes(const CrashReport& report, const PinnedFiles& files,
                       const CoreModules& modules) {
  const RawCrash& raw = report.raw;
  std::string notes;
  add_note(notes, kCoreMark, 0, report.id);
  bool is_first = true;
  for (const ThreadBacktrace& thread : report.backtrace.threads) {
    add_note(notes, "CORE", NT_PRSTATUS, thread_status(report, thread));
    if (std::exchange(is_first, false)) {
      add_note(notes, "CORE", NT_PRPSINFO, process_info(raw));
      add_note(notes, "CORE", NT_SIGINFO, signal_info(raw));
      add_note(notes, "CORE", NT_AUXV, auxiliary_vector(raw));
      add_note(notes, "CORE", NT_FILE, mapped_files(raw, files, modules));
    }
  }
  return notes;
}

}  // namespace crashcrawler
