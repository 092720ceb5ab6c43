// pkg-config files beside a library that was built from source (pc(5)).
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runner/attribute/root_files.h"

namespace crashcrawler {

struct PkgConfigFile {
  std::string path;
  std::string version;                 // of its field, with its variables
  std::vector<std::string> libraries;  // "foo" for each -lfoo of Libs
};

PkgConfigFile parse_pkg_config(std::string_view text, const std::string& path);

// "foo" of "libfoo.so.1.2", as -lfoo names it; empty: it is no such library.
std::string linker_name(std::string_view file_name);

// The pkg-config files of one root; every folder is read once.
class PkgConfigFiles {
 public:
  // Whose Libs name the library at `path`: in its folder, in the usual places around it, and, when `top` is not empty,
  // in the folders up to `top`, a folder above it (the build tree). None: there is none, or nothing that can be read.
  std::optional<PkgConfigFile> find(RootFiles& root, const std::string& path,
                                    const std::string& top);

 private:
  const std::vector<PkgConfigFile>& in_folder(RootFiles& root, const std::string& folder);

  std::map<std::string, std::vector<PkgConfigFile>> folders_;
};

}  // namespace crashcrawler
