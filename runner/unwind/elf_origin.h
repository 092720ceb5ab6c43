// What an ELF file says about where it comes from: its package, its compilers, the versions of its symbols.
#pragma once

#include <libelf.h>

#include <string>
#include <string_view>
#include <vector>

namespace crashcrawler {

struct ElfOrigin {
  std::string package_note;            // JSON of .note.package; empty: none
  std::string symbol_version;          // see highest_version(); empty: its symbols have no versions
  std::vector<std::string> compilers;  // the strings of .comment, each once
};

// Nothing in `elf` is trusted: what is too long, too much or out of bounds is left out.
ElfOrigin read_origin(Elf* elf);

// The highest of the version names that a library defines, by the numbers at their ends ("FOO_1.4" before "FOO_1.10").
// Where several families are mixed (GLIBCXX_3.4, CXXABI_1.3), of the largest one; equally large: of the first.
std::string highest_version(const std::vector<std::string>& names);

}  // namespace crashcrawler
