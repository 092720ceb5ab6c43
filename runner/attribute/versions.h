// Which version a library has that no package brought: what its name, its symbols, a pkg-config file and its work tree
// say.
#pragma once

#include <string>
#include <vector>

#include "runner/attribute/git_describe.h"
#include "runner/attribute/pkg_config.h"
#include "runner/attribute/root_files.h"
#include "runner/model/module.h"

namespace crashcrawler {

// "1.2.3" of "libfoo.so.1.2.3" and of "libfoo-1.2.3.so"; empty: the name has no number.
std::string version_in_name(const std::string& file_name);

class VersionFinder {
 public:
  // Everything that is known of the version of `module`, most trusted first. `root`: that of its process, null when it
  // is not known; `path`: the file in there; `is_ours`: it is our own root, so that git can be asked.
  std::vector<ModuleVersion> find(const Module& module, RootFiles* root, const std::string& path,
                                  bool is_ours);

 private:
  PkgConfigFiles pkg_config_;
  GitTrees git_;
};

}  // namespace crashcrawler
