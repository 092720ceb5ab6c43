// The kernel writes all memory of the process. Here it is: the stacks, the memory around registers, the vdso, and of the
// mapped files their first page, by whose build-id a debugger knows whether it has the right file. Code and read-only data
// are in the files: for gdb NT_FILE says where, lldb wants a PT_LOAD without bytes beside, or it takes the program counter
// for one that went astray. What else the process had is in neither, so that a debugger says that it cannot read it
// instead of showing zeros.
//
// The layout is ours and not libelf's: three kinds of structures, in the order header, notes, program headers, bytes. The
// notes come first so that the mark in the first of them is near the beginning (output_directory.cpp).
#include "runner/report/core_file.h"

#include <elf.h>

#include <algorithm>
#include <limits>
#include <string_view>

#include "runner/base/vdso.h"
#include "runner/report/core_bytes.h"
#include "runner/report/core_modules.h"
#include "runner/report/core_notes.h"

namespace crashcrawler {
namespace {

constexpr uint64_t kPage = 4096;
constexpr size_t kMostSegments = PN_XNUM - 2;  // with the notes; more would need another layout

uint32_t flags_of(const Mapping& mapping) {
  return (mapping.readable ? PF_R : 0u) | (mapping.writable ? PF_W : 0u) |
         (mapping.executable ? PF_X : 0u);
}

uint32_t flags_at(const RawCrash& raw, uint64_t address) {
  for (const Mapping& mapping : raw.mappings) {
    if (address >= mapping.start && address < mapping.end) {
      return flags_of(mapping);
    }
  }
  return PF_R | PF_W;
}

bool may_be_shown(std::string_view variable, const RawCrash& raw) {
  const size_t separator = variable.find('=');
  return separator != std::string_view::npos &&
         std::ranges::any_of(raw.environment, [&](const EnvironmentVariable& known) {
           return known.name == variable.substr(0, separator);
         });
}

// Blanks the strings of the initial environment, but for the variables that were asked for. A piece
// of a string whose beginning is not in `range` is of an unknown variable.
std::string without_secrets(const MemoryRange& range, const RawCrash& raw) {
  std::string bytes = range.bytes;
  const uint64_t from = std::max(range.address, raw.environment_start);
  const uint64_t to = std::min(range.end(), raw.environment_end);
  for (uint64_t at = from; at < to;) {
    const size_t start = at - range.address, most = to - range.address;
    const size_t end = std::min(bytes.find('\0', start), most);
    const std::string_view string = std::string_view(bytes).substr(start, end - start);
    const bool is_whole = at > range.address || at == raw.environment_start;
    if (!is_whole || !may_be_shown(string, raw)) {
      std::fill(bytes.begin() + static_cast<std::ptrdiff_t>(start),
                bytes.begin() + static_cast<std::ptrdiff_t>(end), '\0');
    }
    at = range.address + end + 1;
  }
  return bytes;
}

// The process's own was not captured, but the kernel gives the same to all of one kind.
void add_vdso(CoreMemory& memory, const RawCrash& raw) {
  const std::string_view vdso = own_vdso_bytes();
  if (raw.architecture != Architecture::x86_64) {
    return;
  }
  for (const auto& [type, address] : raw.auxv) {
    const auto mapping = std::ranges::find(raw.mappings, address, &Mapping::start);
    if (type == AT_SYSINFO_EHDR && mapping != raw.mappings.end() &&
        mapping->end - mapping->start == (vdso.size() + kPage - 1) / kPage * kPage) {
      memory.add(address, vdso, flags_of(*mapping));
    }
  }
}

CoreMemory memory_of(const CrashReport& report, const CoreModules& modules) {
  const RawCrash& raw = report.raw;
  CoreMemory memory;
  modules.add_to(memory);  // first: its list is found through bytes that differ from memory
  for (const RawThread& thread : raw.threads) {
    for (const MemoryRange& range : thread.stack) {
      memory.add(range.address, without_secrets(range, raw), flags_at(raw, range.address));
    }
  }
  for (const MemoryRange& range : raw.memory) {
    memory.add(range.address, without_secrets(range, raw), flags_at(raw, range.address));
  }
  add_vdso(memory, raw);
  for (const Mapping& mapping : raw.mappings) {
    if (mapping.readable && modules.shows_file(mapping)) {
      memory.add_without_bytes(mapping.start, mapping.end - mapping.start, flags_of(mapping));
    }
  }
  return memory;
}

template <typename T>
void append(std::string& to, const T& value) {
  to.append(reinterpret_cast<const char*>(&value), sizeof value);
}

template <typename Number>
Number narrowed(uint64_t value) {
  return static_cast<Number>(std::min<uint64_t>(value, std::numeric_limits<Number>::max()));
}

template <typename Ehdr, typename Phdr>
std::string assemble(const std::string& notes, const CoreMemory& memory, bool is_64_bit) {
  const auto& segments = memory.segments();
  Ehdr header{};
  std::copy_n(ELFMAG, SELFMAG, header.e_ident);
  header.e_ident[EI_CLASS] = is_64_bit ? ELFCLASS64 : ELFCLASS32;
  header.e_ident[EI_DATA] = ELFDATA2LSB;
  header.e_ident[EI_VERSION] = EV_CURRENT;
  header.e_ident[EI_OSABI] = ELFOSABI_LINUX;  // lldb knows no other sign when there is no mapping
  header.e_version = EV_CURRENT;
  header.e_type = ET_CORE;
  header.e_machine = is_64_bit ? EM_X86_64 : EM_386;
  header.e_ehsize = sizeof header;
  header.e_phentsize = sizeof(Phdr);
  header.e_phnum = static_cast<uint16_t>(1 + segments.size());
  std::string padded = notes;
  padded.resize((padded.size() + 7) / 8 * 8);
  header.e_phoff = narrowed<decltype(header.e_phoff)>(sizeof header + padded.size());

  std::string core;
  append(core, header);
  core += padded;
  Phdr note{};
  note.p_type = PT_NOTE;
  note.p_offset = sizeof header;
  note.p_filesz = narrowed<decltype(note.p_filesz)>(notes.size());
  note.p_align = 4;
  append(core, note);
  uint64_t offset = core.size() + segments.size() * sizeof(Phdr);
  for (const auto& [address, segment] : segments) {
    Phdr load{};
    load.p_type = PT_LOAD;
    load.p_flags = segment.flags;
    load.p_vaddr = narrowed<decltype(load.p_vaddr)>(address);
    load.p_offset = narrowed<decltype(load.p_offset)>(offset);
    load.p_filesz = narrowed<decltype(load.p_filesz)>(segment.bytes.size());
    load.p_memsz = narrowed<decltype(load.p_memsz)>(segment.size);
    load.p_align = 1;
    append(core, load);
    offset += segment.bytes.size();
  }
  for (const auto& [address, segment] : segments) {
    core += segment.bytes;
  }
  return core;
}

}  // namespace

Result<std::string> core_file(const CrashReport& report, const PinnedFiles& files) {
  if (report.backtrace.threads.empty()) {
    return Error{"no registers were captured"};
  }
  const CoreModules modules(report.raw, report.backtrace.modules, files);
  const CoreMemory memory = memory_of(report, modules);
  if (memory.segments().size() > kMostSegments) {
    return Error{"its memory is in more pieces than a core file can hold"};
  }
  const std::string notes = core_notes(report, files, modules);
  return report.raw.architecture == Architecture::i386
             ? assemble<Elf32_Ehdr, Elf32_Phdr>(notes, memory, false)
             : assemble<Elf64_Ehdr, Elf64_Phdr>(notes, memory, true);
}

}  // namespace crashcrawler
