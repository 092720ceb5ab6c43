// A file mapped into a dead process: executable, shared library, vdso.
#pragma once

#include <cstdint>
#include <string>

namespace crashcrawler {

struct Package {
  std::string type;  // "deb", ...
  std::string name, version, architecture;
  std::string source;  // where this was learnt, e.g. "/var/lib/dpkg"
};

struct Module {
  std::string path;            // as mapped
  uint64_t base = 0, end = 0;  // runtime addresses: lowest start and highest end of its mappings
  uint64_t load_bias = 0;      // runtime address minus ELF virtual address (p_vaddr)
  std::string build_id;        // lower-case hex; empty: none, or the file could not be read
  std::string soname;          // DT_SONAME
  bool deleted = false;
  bool changed_on_disk = false;  // what lies at `path` now is not what was mapped
  Package package;               // package.name empty: none known
};

}  // namespace crashcrawler
