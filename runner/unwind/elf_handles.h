// Owners of libelf's and libdw's handles.
#pragma once

#include <elfutils/libdw.h>
#include <libelf.h>

#include <cstdlib>
#include <memory>

namespace crashcrawler {

struct ElfDeleter {
  void operator()(Elf* elf) const { elf_end(elf); }
};
struct DwarfDeleter {
  void operator()(Dwarf* dwarf) const { dwarf_end(dwarf); }
};
struct CfiDeleter {
  void operator()(Dwarf_CFI* cfi) const { dwarf_cfi_end(cfi); }
};
struct FreeDeleter {
  void operator()(void* memory) const { std::free(memory); }
};

using ElfHandle = std::unique_ptr<Elf, ElfDeleter>;
using DwarfHandle = std::unique_ptr<Dwarf, DwarfDeleter>;
using CfiHandle = std::unique_ptr<Dwarf_CFI, CfiDeleter>;       // of dwarf_getcfi_elf() only
using FrameHandle = std::unique_ptr<Dwarf_Frame, FreeDeleter>;  // of dwarf_cfi_addrframe()

// The file behind `fd` for reading, mapped; null when libelf does not take it. `fd` stays the
// caller's and has to stay open as long as the handle lives.
ElfHandle begin_elf(int fd);

// The debug information in `elf`; null: none.
DwarfHandle begin_dwarf(Elf* elf);

}  // namespace crashcrawler
