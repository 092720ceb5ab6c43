// Separate debug files: where distributions and objcopy put what strip took away.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runner/base/unique_fd.h"
#include "runner/unwind/elf_handles.h"

namespace crashcrawler {

struct DebugFile {
  UniqueFd fd;  // outlives elf
  ElfHandle elf;
  size_t size = 0;
  std::string path;
};

class DebugFileSearch {
 public:
  // `roots`: folders that are laid out like /usr/lib/debug, first to last.
  // `fetched`: debug files by build-id, for what is nowhere below them.
  explicit DebugFileSearch(std::vector<std::string> roots = {"/usr/lib/debug"},
                           std::map<std::string, std::string> fetched = {})
      : roots_(std::move(roots)), fetched_(std::move(fetched)) {}

  // The debug file of the ELF file `elf` that the process had at `path`. Tried in the order of gdb:
  // by build-id below the roots; then the name in .gnu_debuglink beside the file, in .debug beside
  // it, and below the roots; last what was fetched. A file counts only when its build-id agrees, or, where one of the two
  // has none, the checksum of .gnu_debuglink.
  std::optional<DebugFile> find(Elf* elf, const std::string& build_id,
                                const std::string& path) const;

 private:
  std::vector<std::string> roots_;
  std::map<std::string, std::string> fetched_;
};

// The folder, with its slash, from which libdw (libdw_find_split_unit.c, dwarf_getalt.c of elfutils) counts relative names
// in the file behind `fd`; empty: it has none.
std::string folder_of(int fd);

// False when libdw, asked for the file `name` that an ELF file in `folder` speaks of, would open something that is no
// regular file: a FIFO has it wait for a writer. `directory`: what a relative name is in besides, or null.
bool leads_to_file(const std::string& folder, const char* directory, const char* name);

// The first section of that name that has bytes in the file; null: there is none.
Elf_Scn* find_section(Elf* elf, std::string_view name);

inline bool has_section(Elf* elf, std::string_view name) {
  return find_section(elf, name) != nullptr;
}

// Two lower-case digits for each byte.
std::string hex_digits(std::string_view bytes);

// The CRC-32 of .gnu_debuglink (that of zlib and IEEE 802.3).
uint32_t debuglink_checksum(std::string_view bytes);

}  // namespace crashcrawler
