// What a debugger has to know of the mapped files to find them again: their first page, and the
// dynamic linker's list of them.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "runner/model/crash_report.h"
#include "runner/model/pinned_files.h"
#include "runner/report/core_bytes.h"

namespace crashcrawler {

// Of an ELF file, as far as its first page tells. All addresses are those in the file.
struct ElfHeaders {
  std::string first_page;
  uint64_t dynamic_address = 0, dynamic_offset = 0, dynamic_size = 0;  // PT_DYNAMIC; size 0: none
  std::vector<std::pair<uint64_t, uint64_t>> writable;  // PT_LOADs: start and end, whole pages
};

// The headers of `fd`; nothing when it is no ELF file or its program headers are not in its first page, where every
// linker puts them. Everything is bounded by that page, whatever the file says.
std::optional<ElfHeaders> read_elf_headers(int fd);

// The modules of one crash with their headers.
class CoreModules {
 public:
  // All three have to outlive it.
  CoreModules(const RawCrash& raw, const std::vector<Module>& modules, const PinnedFiles& files);

  // Whether the bytes of `mapping` are still those of the file: not those of a segment that was
  // relocated and then made read-only.
  bool shows_file(const Mapping& mapping) const;

  // Puts into `memory`: the executable's .dynamic with DT_DEBUG pointing to a list of all modules
  // in the layout of <link.h>, in a page that was free, and the first page of every module. False:
  // there is no list, because there is no executable with a place for it.
  bool add_to(CoreMemory& memory) const;

 private:
  const Module* executable() const;
  bool add_list(CoreMemory& memory) const;
  std::string link_map(uint64_t address) const;
  uint64_t free_page(uint64_t size) const;

  const RawCrash& raw_;
  const std::vector<Module>& modules_;
  const PinnedFiles& files_;
  std::map<const Module*, int> fds_;
  std::map<const Module*, ElfHeaders> headers_;
};

// The name under which a debugger looks for the file of a mapping or module: one that is gone or
// was replaced gets a name that it will not find, so that nothing is shown from the wrong file.
std::string name_in_core(const std::string& path, bool deleted, bool changed);

}  // namespace crashcrawler
