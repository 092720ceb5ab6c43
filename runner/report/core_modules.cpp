// gdb and lldb ask the dynamic linker which files are loaded: the executable's DT_DEBUG points to its struct r_debug, and
// that to a list of struct link_map (<link.h>). The list lies in memory that a snapshot of stacks does not have. But all
// that is in it is known, so it is written anew, into a page where nothing was, and the executable's .dynamic, as it is in
// the file, is made to point to it. The offsets are those of glibc and musl alike, because debuggers rely on them.
//
// Program headers are read here and not in the unwinder's child: fields of fixed size in one page, nothing of what the
// file says about itself is followed beyond it.
#include "runner/report/core_modules.h"

#include <elf.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <string_view>

namespace crashcrawler {
namespace {

constexpr uint64_t kPage = 4096;
constexpr uint64_t kLowest = 16 * kPage;  // below nothing is mapped (vm.mmap_min_addr)
constexpr uint64_t kMostDynamic = 64 << 10;

std::string read_at(int fd, uint64_t offset, size_t size) {
  std::string bytes(size, '\0');
  const ssize_t got = ::pread(fd, bytes.data(), size, static_cast<off_t>(offset));
  bytes.resize(got > 0 ? static_cast<size_t>(got) : 0);
  return bytes;
}

template <typename T>
std::optional<T> read_struct(std::string_view bytes, uint64_t offset) {
  if (offset > bytes.size() || bytes.size() - offset < sizeof(T)) {
    return std::nullopt;
  }
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

template <typename Ehdr, typename Phdr>
std::optional<ElfHeaders> parse_headers(std::string page) {
  ElfHeaders headers;
  const std::optional<Ehdr> header = read_struct<Ehdr>(page, 0);
  if (!header || header->e_phentsize != sizeof(Phdr)) {
    return std::nullopt;
  }
  for (uint64_t i = 0; i < header->e_phnum; ++i) {
    const auto segment = read_struct<Phdr>(page, header->e_phoff + i * sizeof(Phdr));
    if (!segment) {
      return std::nullopt;
    }
    if (segment->p_type == PT_DYNAMIC) {
      headers.dynamic_address = segment->p_vaddr;
      headers.dynamic_offset = segment->p_offset;
      headers.dynamic_size = std::min<uint64_t>(segment->p_filesz, kMostDynamic);
    } else if (segment->p_type == PT_LOAD && (segment->p_flags & PF_W) != 0) {
      const uint64_t end = uint64_t{segment->p_vaddr} + segment->p_memsz + kPage - 1;
      headers.writable.emplace_back(segment->p_vaddr / kPage * kPage, end / kPage * kPage);
    }
  }
  headers.first_page = std::move(page);
  return headers;
}

// Makes DT_DEBUG of a .dynamic section point to `address`; false: it has none.
template <typename Dyn>
bool point_debug_entry(std::string& dynamic, uint64_t address) {
  for (uint64_t at = 0;; at += sizeof(Dyn)) {
    std::optional<Dyn> entry = read_struct<Dyn>(dynamic, at);
    if (!entry || entry->d_tag == DT_NULL) {
      return false;
    }
    if (entry->d_tag == DT_DEBUG) {
      entry->d_un.d_ptr = static_cast<decltype(entry->d_un.d_ptr)>(address);
      std::memcpy(dynamic.data() + at, &*entry, sizeof(Dyn));
      return true;
    }
  }
}

std::optional<uint64_t> auxiliary(const RawCrash& raw, uint64_t type) {
  for (const auto& [key, value] : raw.auxv) {
    if (key == type) {
      return value;
    }
  }
  return std::nullopt;
}

// Where a register or the fault points to has to stay as empty as it was.
std::vector<uint64_t> pointers(const RawCrash& raw) {
  std::vector<uint64_t> all{raw.signal.fault_address};
  for (const RawThread& thread : raw.threads) {
    std::array<uint64_t, sizeof(Registers) / sizeof(uint64_t)> values;
    static_assert(sizeof values == sizeof(Registers));
    std::memcpy(values.data(), &thread.registers, sizeof values);
    all.insert(all.end(), values.begin(), values.end());
  }
  return all;
}

}  // namespace

std::string name_in_core(const std::string& path, bool deleted, bool changed) {
  return path + (changed ? " (changed)" : deleted ? " (deleted)" : "");
}

std::optional<ElfHeaders> read_elf_headers(int fd) {
  std::string page = read_at(fd, 0, kPage);
  if (page.size() < EI_NIDENT || std::memcmp(page.data(), ELFMAG, SELFMAG) != 0) {
    return std::nullopt;
  }
  return page[EI_CLASS] == ELFCLASS32 ? parse_headers<Elf32_Ehdr, Elf32_Phdr>(std::move(page))
                                      : parse_headers<Elf64_Ehdr, Elf64_Phdr>(std::move(page));
}

CoreModules::CoreModules(const RawCrash& raw, const std::vector<Module>& modules,
                         const PinnedFiles& files)
    : raw_(raw), modules_(modules), files_(files) {
  for (const Module& module : modules) {
    const auto mapping = std::ranges::find(raw.mappings, module.base, &Mapping::start);
    if (mapping == raw.mappings.end()) {
      continue;
    }
    const auto pinned = files.find(file_key(*mapping));
    if (pinned == files.end() || !pinned->second.fd) {
      continue;
    }
    if (std::optional<ElfHeaders> headers = read_elf_headers(pinned->second.fd.get())) {
      fds_[&module] = pinned->second.fd.get();
      headers_[&module] = std::move(*headers);
    }
  }
}

bool CoreModules::shows_file(const Mapping& mapping) const {
  if (mapping.path.empty() || mapping.writable) {
    return false;
  }
  for (const auto& [module, headers] : headers_) {
    for (const auto& [start, end] : headers.writable) {
      if (module->path == mapping.path && mapping.start < module->load_bias + end &&
          mapping.end > module->load_bias + start) {
        return false;
      }
    }
  }
  return true;
}

bool CoreModules::add_to(CoreMemory& memory) const {
  const bool has_list = add_list(memory);
  for (const Mapping& mapping : raw_.mappings) {
    for (const auto& [module, headers] : headers_) {
      if (module->base == mapping.start && mapping.file_offset == 0) {
        memory.add(mapping.start, headers.first_page, PF_R);
      }
    }
  }
  return has_list;
}

// The one that execve(2) started, by its entry point.
const Module* CoreModules::executable() const {
  const uint64_t entry = auxiliary(raw_, AT_ENTRY).value_or(0);
  const auto found = std::ranges::find_if(
      modules_, [&](const Module& module) { return entry >= module.base && entry < module.end; });
  return found == modules_.end() ? nullptr : &*found;
}

bool CoreModules::add_list(CoreMemory& memory) const {
  const Module* program = executable();
  const auto headers = program == nullptr ? headers_.end() : headers_.find(program);
  if (headers == headers_.end() || headers->second.dynamic_size == 0) {
    return false;
  }
  const uint64_t address = free_page(link_map(0).size());
  std::string dynamic =
      read_at(fds_.at(program), headers->second.dynamic_offset, headers->second.dynamic_size);
  const bool pointed = raw_.architecture == Architecture::i386
                           ? point_debug_entry<Elf32_Dyn>(dynamic, address)
                           : point_debug_entry<Elf64_Dyn>(dynamic, address);
  if (address == 0 || !pointed) {
    return false;
  }
  memory.add(program->load_bias + headers->second.dynamic_address, dynamic, PF_R | PF_W);
  memory.add(address, link_map(address), PF_R | PF_W);
  return true;
}

// struct r_debug, then the list, the executable first and without a name, then the names.
std::string CoreModules::link_map(uint64_t address) const {
  const Module* program = executable();
  std::vector<const Module*> order;
  for (const Module& module : modules_) {
    const auto known = headers_.find(&module);
    const bool is_listed = known == headers_.end()
                               ? module.path.starts_with('/')  // gone, or replaced
                               : known->second.dynamic_size != 0;
    if (is_listed && &module != program) {
      order.push_back(&module);
    }
  }
  order.insert(order.begin(), program);

  const uint64_t word = word_size(raw_.architecture);
  const uint64_t entry_size = 5 * word, entries = address + 5 * word;
  uint64_t name_at = entries + order.size() * entry_size;
  const auto entry_at = [&](size_t i) { return i < order.size() ? entries + i * entry_size : 0; };

  FieldWriter list(raw_.architecture), names(raw_.architecture);
  // r_version 1, r_map, r_brk 0, r_state RT_CONSISTENT, r_ldbase (AT_BASE, getauxval(3))
  list.u32(1).align_to_word().word(entry_at(0)).word(0).u32(0).align_to_word();
  list.word(auxiliary(raw_, AT_BASE).value_or(0));
  for (size_t i = 0; i < order.size(); ++i) {
    const Module& module = *order[i];
    const auto known = headers_.find(&module);
    const uint64_t dynamic =
        known == headers_.end() ? 0 : module.load_bias + known->second.dynamic_address;
    // l_addr, l_name, l_ld, l_next, l_prev
    list.word(module.load_bias).word(name_at).word(dynamic).word(entry_at(i + 1));
    list.word(i == 0 ? 0 : entry_at(i - 1));
    const std::string name =
        i == 0 ? "" : name_in_core(module.path, module.deleted, module.changed_on_disk);
    names.text(name);
    name_at += name.size() + 1;
  }
  return list.raw(names.take()).take();
}

// An address with `size` free bytes behind it and a free page on both sides; 0: there is none.
uint64_t CoreModules::free_page(uint64_t size) const {
  std::vector<std::pair<uint64_t, uint64_t>> taken;
  for (const Mapping& mapping : raw_.mappings) {
    taken.emplace_back(mapping.start, mapping.end);
  }
  for (const RawThread& thread : raw_.threads) {
    for (const MemoryRange& range : thread.stack) {
      taken.emplace_back(range.address, range.end());
    }
  }
  for (const MemoryRange& range : raw_.memory) {
    taken.emplace_back(range.address, range.end());
  }
  for (const uint64_t pointer : pointers(raw_)) {
    taken.emplace_back(pointer / kPage * kPage, pointer / kPage * kPage + kPage);
  }
  std::ranges::sort(taken);
  const uint64_t top =
      raw_.architecture == Architecture::i386 ? uint64_t{0xc0000000} : uint64_t{1} << 47;
  uint64_t from = kLowest;
  for (const auto& [start, end] : taken) {
    if (start > from && start - from >= size + 2 * kPage) {
      break;
    }
    from = std::max(from, (end + kPage - 1) / kPage * kPage);
  }
  return from < top && top - from >= size + 2 * kPage ? from + kPage : 0;
}

}  // namespace crashcrawler
