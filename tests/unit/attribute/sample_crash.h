// Crashes with modules whose files were pinned below a root directory.
#pragma once

#include <fcntl.h>

#include <memory>
#include <string>
#include <vector>

#include "runner/attribute/packages.h"

namespace crashcrawler::tests {

class SampleRun {
 public:
  explicit SampleRun(const std::string& root, bool is_ours = false) {
    auto directory = std::make_shared<RootDirectory>();
    directory->fd.reset(::open(root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    directory->name = root;
    directory->is_ours = is_ours;
    root_ = std::move(directory);
  }

  void add_crash(std::vector<Module> modules) {
    CrashReport crash;
    for (Module& module : modules) {
      Mapping mapping;
      mapping.start = module.base = 0x1000 * (crash.raw.mappings.size() + 1);
      mapping.end = module.end = mapping.start + 0x1000;
      mapping.inode = 1;
      mapping.path = module.path;
      PinnedFile& file = files_[file_key(mapping)];
      file.root = root_;
      file.path_in_root = module.path;
      crash.raw.mappings.push_back(mapping);
    }
    crash.backtrace.modules = std::move(modules);
    crashes.push_back(std::move(crash));
  }

  std::vector<std::string> attribute() { return attribute_modules(crashes, files_); }

  std::vector<CrashReport> crashes;

 private:
  std::shared_ptr<const RootDirectory> root_;
  PinnedFiles files_;
};

}  // namespace crashcrawler::tests
