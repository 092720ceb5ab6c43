// MiniDebugInfo (gdb's manual): a symbol table inside of a stripped file.
#pragma once

#include <libelf.h>

#include <optional>
#include <string>

#include "runner/base/result.h"

namespace crashcrawler {

// The ELF file in .gnu_debugdata, compressed by xz: a symbol table without debug information. nullopt: there is none. Error:
// what is wrong with it.
Result<std::optional<std::string>> mini_debug_file(Elf* elf);

}  // namespace crashcrawler
