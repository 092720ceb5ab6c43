// A file mapped into a dead process: executable, shared library, vdso.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace crashcrawler {

struct Package {
  std::string type;  // "deb", "rpm", "apk", "alpm"; of a package note what it says
  std::string name, version, architecture;
  std::string source;  // where this was learnt, e.g. "/var/lib/dpkg/status"
};

// What one witness says about the version of a module.
struct ModuleVersion {
  std::string version;
  std::string
      source;  // "pkg_config", "file_name", "symbol_versions", "git"; of packages their type
  std::string detail;  // which file or folder said it; empty: the module itself
};

struct Module {
  std::string path;              // as mapped
  uint64_t base = 0, end = 0;    // runtime addresses: lowest start and highest end of its mappings
  uint64_t load_bias = 0;        // runtime address minus ELF virtual address (p_vaddr)
  std::string build_id;          // lower-case hex; empty: none, or the file could not be read
  std::string soname;            // DT_SONAME
  bool deleted = false;          // the file had no name any more, at the death or right after
  bool changed_on_disk = false;  // what lies at `path` now is not what was mapped

  // What the file says of itself, as it says it: not checked beyond its size.
  std::string package_note;            // JSON of .note.package
  std::string symbol_version;          // the highest version of the symbols it defines: "FOO_1.4"
  std::vector<std::string> compilers;  // .comment, without repetitions

  Package package;                      // package.name empty: none known
  std::vector<ModuleVersion> versions;  // most trusted first
};

}  // namespace crashcrawler
