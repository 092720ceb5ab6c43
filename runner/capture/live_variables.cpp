// The same way as bpf/variables.bpf.h goes, which says why: auxiliary vector, program headers, dynamic section, the list
// of loaded objects, the GNU hash of each. Everything read may be wrong, so every loop is bounded.
#include "runner/capture/live_variables.h"

#include <elf.h>
#include <link.h>

#include <algorithm>
#include <array>
#include <cstring>

namespace crashcrawler {
namespace {

constexpr size_t kLoadedObjects = 64, kDynamicEntries = 64, kProgramHeaders = 32, kHashChain = 32;
constexpr size_t kVariables = 4096;

// dl_new_hash(), glibc, elf/dl-hash.h
uint32_t hash_of(std::string_view name) {
  uint32_t hash = 5381;
  for (const char letter : name) {
    hash = hash * 33 + static_cast<unsigned char>(letter);
  }
  return hash;
}

struct Dynamic {
  uint64_t hash = 0, symbols = 0, strings = 0, debug = 0;
};

Dynamic dynamic_at(const ProcessMemory& memory, uint64_t address) {
  Dynamic found;
  for (size_t i = 0; i < kDynamicEntries; ++i) {
    const auto entry = memory.at<Elf64_Dyn>(address + i * sizeof(Elf64_Dyn));
    switch (entry.d_tag) {
      case DT_NULL:
        return found;
      case DT_GNU_HASH:
        found.hash = entry.d_un.d_ptr;
        break;
      case DT_SYMTAB:
        found.symbols = entry.d_un.d_ptr;
        break;
      case DT_STRTAB:
        found.strings = entry.d_un.d_ptr;
        break;
      case DT_DEBUG:
        found.debug = entry.d_un.d_ptr;
        break;
      default:
        break;
    }
  }
  return found;
}

// The address of the variable where this object defines it; 0.
uint64_t look_up(const ProcessMemory& memory, const link_map& object, std::string_view name) {
  const Dynamic dynamic = dynamic_at(memory, reinterpret_cast<uint64_t>(object.l_ld));
  if (dynamic.hash == 0 || dynamic.symbols == 0 || dynamic.strings == 0) {
    return 0;
  }
  // glibc writes runtime addresses into the dynamic section, musl leaves the file's
  const auto here = [&](uint64_t address) {
    return address < object.l_addr ? address + object.l_addr : address;
  };
  const uint32_t wanted = hash_of(name);
  const uint64_t table = here(dynamic.hash);
  const auto [buckets, first, bloom_words, shift] = memory.at<std::array<uint32_t, 4>>(table);
  if (buckets == 0) {
    return 0;
  }
  const uint64_t bucket = table + 16 + bloom_words * uint64_t{8};
  uint64_t symbol = memory.at<uint32_t>(bucket + wanted % buckets * uint64_t{4});
  if (symbol < first) {
    return 0;  // an empty bucket
  }
  uint64_t chain = bucket + (buckets + symbol - first) * 4;
  for (size_t i = 0; i < kHashChain; ++i, ++symbol, chain += 4) {
    const auto hash = memory.at<uint32_t>(chain);
    if ((hash | 1) == (wanted | 1)) {
      const auto entry = memory.at<Elf64_Sym>(here(dynamic.symbols) + symbol * sizeof(Elf64_Sym));
      if (entry.st_shndx != SHN_UNDEF &&
          memory.string_at(here(dynamic.strings) + entry.st_name, name.size() + 1) == name) {
        return object.l_addr + entry.st_value;
      }
    }
    if (hash & 1) {
      break;
    }
  }
  return 0;
}

// The list of loaded objects (<link.h>); 0.
uint64_t loaded_objects(const ProcessMemory& memory, std::string_view auxv) {
  uint64_t headers = 0, header_size = 0, count = 0;
  for (; auxv.size() >= sizeof(Elf64_auxv_t); auxv.remove_prefix(sizeof(Elf64_auxv_t))) {
    Elf64_auxv_t entry{};
    std::memcpy(&entry, auxv.data(), sizeof entry);
    if (entry.a_type == AT_PHDR) {
      headers = entry.a_un.a_val;
    } else if (entry.a_type == AT_PHENT) {
      header_size = entry.a_un.a_val;
    } else if (entry.a_type == AT_PHNUM) {
      count = entry.a_un.a_val;
    }
  }
  if (header_size != sizeof(Elf64_Phdr)) {
    return 0;
  }
  uint64_t dynamic = 0, bias = 0;
  for (size_t i = 0; i < std::min<uint64_t>(count, kProgramHeaders); ++i) {
    const auto header = memory.at<Elf64_Phdr>(headers + i * sizeof(Elf64_Phdr));
    if (header.p_type == PT_PHDR) {
      bias = headers - header.p_vaddr;
    } else if (header.p_type == PT_DYNAMIC) {
      dynamic = header.p_vaddr;
    }
  }
  const uint64_t debug = dynamic == 0 ? 0 : dynamic_at(memory, bias + dynamic).debug;
  return debug == 0 ? 0 : memory.at<uint64_t>(debug + offsetof(r_debug, r_map));
}

}  // namespace

uint64_t find_variable(const ProcessMemory& memory, std::string_view auxv, std::string_view name) {
  uint64_t next = loaded_objects(memory, auxv);
  for (size_t i = 0; i < kLoadedObjects && next != 0; ++i) {
    const auto object = memory.at<link_map>(next);
    if (const uint64_t found = look_up(memory, object, name)) {
      return found;
    }
    next = reinterpret_cast<uint64_t>(object.l_next);
  }
  return 0;
}

std::optional<std::vector<std::string>> live_environment(const ProcessMemory& memory,
                                                         std::string_view auxv, size_t most) {
  const uint64_t variable = find_variable(memory, auxv, "__environ");
  if (variable == 0) {
    return std::nullopt;
  }
  std::vector<std::string> variables;
  const auto pointers = memory.at<uint64_t>(variable);
  for (size_t i = 0; pointers != 0 && i < kVariables; ++i) {
    const auto text = memory.at<uint64_t>(pointers + i * sizeof(uint64_t));
    if (text == 0) {
      break;
    }
    variables.push_back(memory.string_at(text, most));
  }
  return variables;
}

}  // namespace crashcrawler
