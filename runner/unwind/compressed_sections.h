// What is compressed in an ELF file in ways that libelf does not know.
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

// A copy of the ELF file `bytes` (which `elf` reads) whose sections compressed by zstd (ELFCOMPRESS_ZSTD of the gABI)
// are not compressed any more; elfutils before 0.189 reads only those compressed by zlib. nullopt: there are none.
// Error: what is wrong with them.
Result<std::optional<std::string>> without_zstd(Elf* elf, std::string_view bytes);

}  // namespace crashcrawler
