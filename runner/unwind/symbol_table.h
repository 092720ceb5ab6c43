// The functions that .symtab or .dynsym names.
#pragma once

#include <gelf.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace crashcrawler {

struct Symbol {
  uint64_t start = 0;
  const char* name = nullptr;  // lives as long as the Elf*
};

class SymbolTable {
 public:
  // Reads .symtab of the first file that has one, else that of `mini` and .dynsym of the first file
  // that has one: a mini debug file holds what .dynsym does not. Null files are skipped.
  explicit SymbolTable(const std::vector<Elf*>& files, Elf* mini = nullptr);

  // The function that contains `address`: one whose size covers it, else the nearest one of unknown
  // size before it in the same section. Among several names of one place the one a programmer would
  // know.
  std::optional<Symbol> find(uint64_t address) const;

 private:
  struct Entry {
    uint64_t start, size;
    uint64_t limit;  // of its section: how far a function of unknown size can reach
    const char* name;
    int quality;
  };

  void read(Elf* elf, unsigned section_type);
  void add(Elf* elf, const GElf_Sym& symbol, size_t names);

  std::vector<Entry> entries_;  // by start, then by rising quality
};

}  // namespace crashcrawler
