#include "runner/unwind/symbol_table.h"

#include <algorithm>
#include <cstring>
#include <tuple>

namespace crashcrawler {

namespace {

// Symbols that begin before the wanted address but do not reach it may hide one that does: nested
// labels, aliases.
constexpr size_t kMostLookedBack = 64;

// A global or weak name says more than a local one, and a name without leading underscores more
// than one with: `puts`, though weak, rather than `_IO_puts`.
int quality_of(const GElf_Sym& symbol, const char* name) {
  int quality = 0;
  const auto type = GELF_ST_TYPE(symbol.st_info);
  if (type == STT_FUNC || type == STT_GNU_IFUNC) {
    quality += 1000;
  }
  const auto binding = GELF_ST_BIND(symbol.st_info);
  if (binding == STB_GLOBAL || binding == STB_GNU_UNIQUE) {
    quality += 101;
  } else if (binding == STB_WEAK) {
    quality += 100;
  }
  const size_t underscores = std::strspn(name, "_");
  return quality - static_cast<int>(std::min<size_t>(underscores, 9)) * 10;
}

}  // namespace

SymbolTable::SymbolTable(const std::vector<Elf*>& files, Elf* mini) {
  const auto read_first = [&](unsigned type) {
    const size_t before = entries_.size();
    for (Elf* elf : files) {
      if (entries_.size() == before && elf != nullptr) {
        read(elf, type);
      }
    }
  };
  read_first(SHT_SYMTAB);
  if (entries_.empty()) {
    if (mini != nullptr) {
      read(mini, SHT_SYMTAB);
    }
    read_first(SHT_DYNSYM);
  }
  std::sort(entries_.begin(), entries_.end(), [](const Entry& a, const Entry& b) {
    if (a.start != b.start || a.quality != b.quality) {
      return std::tie(a.start, a.quality) < std::tie(b.start, b.quality);
    }
    // The shorter name is the better one; the rest makes the report the same every time.
    const size_t a_length = std::strlen(a.name), b_length = std::strlen(b.name);
    return a_length != b_length ? a_length > b_length : std::strcmp(a.name, b.name) > 0;
  });
}

void SymbolTable::read(Elf* elf, unsigned section_type) {
  Elf_Scn* section = nullptr;
  while ((section = elf_nextscn(elf, section)) != nullptr) {
    GElf_Shdr header;
    if (gelf_getshdr(section, &header) == nullptr || header.sh_type != section_type ||
        header.sh_entsize == 0) {
      continue;
    }
    Elf_Data* data = elf_getdata(section, nullptr);
    if (data == nullptr) {
      continue;
    }
    const size_t count = data->d_size / header.sh_entsize;
    for (size_t i = 0; i < count; ++i) {
      GElf_Sym symbol;
      if (gelf_getsym(data, static_cast<int>(i), &symbol) != nullptr) {
        add(elf, symbol, header.sh_link);
      }
    }
  }
}

void SymbolTable::add(Elf* elf, const GElf_Sym& symbol, size_t names) {
  const auto type = GELF_ST_TYPE(symbol.st_info);
  // Hand-written assembly often leaves the type out.
  const bool wanted = type == STT_FUNC || type == STT_GNU_IFUNC || type == STT_NOTYPE;
  if (!wanted || symbol.st_shndx == SHN_UNDEF || symbol.st_shndx >= SHN_LORESERVE) {
    return;
  }
  GElf_Shdr section;
  if (gelf_getshdr(elf_getscn(elf, symbol.st_shndx), &section) == nullptr ||
      (section.sh_flags & SHF_EXECINSTR) == 0) {
    return;
  }
  const char* name = elf_strptr(elf, names, symbol.st_name);
  if (name == nullptr || *name == '\0' || *name == '.' || *name == '$') {
    return;  // '.' and '$' begin local labels and mapping symbols
  }
  entries_.push_back({symbol.st_value, symbol.st_size, section.sh_addr + section.sh_size, name,
                      quality_of(symbol, name)});
}

std::optional<Symbol> SymbolTable::find(uint64_t address) const {
  auto at = std::upper_bound(entries_.begin(), entries_.end(), address,
                             [](uint64_t wanted, const Entry& e) { return wanted < e.start; });
  const Entry* unsized = nullptr;
  bool passed_another =
      false;  // a sized function lies between: an unsized one before it is not ours
  for (size_t looked = 0; at != entries_.begin() && looked < kMostLookedBack; ++looked) {
    const Entry& entry = *--at;
    if (entry.size != 0) {
      if (address - entry.start < entry.size) {
        return Symbol{entry.start, entry.name};
      }
      passed_another = true;
    } else if (unsized == nullptr && !passed_another && address < entry.limit) {
      unsized = &entry;
    }
  }
  if (unsized != nullptr) {
    return Symbol{unsized->start, unsized->name};
  }
  return std::nullopt;
}

}  // namespace crashcrawler
