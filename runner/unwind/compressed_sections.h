// What is compressed in an ELF file in ways that libelf does not know or is slow at.
#pragma once

#include <libelf.h>

#include <optional>
#include <string>
#include <string_view>

#include "runner/base/result.h"

namespace crashcrawler {

// The ELF file in .gnu_debugdata, compressed by xz: a symbol table without debug information ("MiniDebugInfo" in gdb's
// manual). nullopt: there is none. Error: what is wrong with it.
Result<std::optional<std::string>> mini_debug_file(Elf* elf);

// Of the ELF file `bytes` (which `elf` reads), if it has compressed sections (SHF_COMPRESSED of the gABI): an ELF file
// with what it has of debug information for functions and lines, not compressed. elfutils reads sections compressed by
// zstd from 0.189 on only, and those compressed by zlib all at once and at less than half of the speed. nullopt: there are
// none, or elfutils has to read the file itself because it leads to another one. Error: what is wrong with them.
Result<std::optional<std::string>> inflated_debug_file(Elf* elf, std::string_view bytes);

}  // namespace crashcrawler
