// The files of a dead process and what of its memory belongs to which.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "runner/model/module.h"
#include "runner/model/raw_crash.h"
#include "runner/unwind/address_space.h"
#include "runner/unwind/image_cache.h"

namespace crashcrawler {

struct LoadedModule {
  Module module;
  std::shared_ptr<ElfImage> image;  // null: see why_no_image
  std::string why_no_image;
};

class ModuleMap {
 public:
  // `crash` and `files` have to outlive the map.
  ModuleMap(const RawCrash& crash, const PinnedFiles& files, ImageSource& images);

  const std::vector<LoadedModule>& modules() const { return modules_; }  // ascending by base

  bool has_mappings() const { return !crash_.mappings.empty(); }

  // The module one of whose mappings holds `address`.
  std::optional<size_t> find(uint64_t address) const;

  // The mapping that holds `address`; null: none.
  const Mapping* mapping(uint64_t address) const;

  // The stack whose pointer is `sp`: the mapping that holds it, or, when it has run over, begins
  // less than a MiB above.
  const Mapping* stack_of(uint64_t sp) const;

  bool is_executable(uint64_t address) const;

  // Adds the code that lies in files to what can be read.
  void add_code(AddressSpace& memory) const;

 private:
  void add_file(const FileKey& key, const std::vector<size_t>& mappings, const PinnedFiles& files,
                ImageSource& images);
  void add_vdso(size_t mapping, ImageSource& images);
  size_t start_module(const FileKey& key, const PinnedFiles& files, const ImageResult& image);
  void join(size_t module, size_t mapping);
  void sort_modules();

  const RawCrash& crash_;
  std::vector<LoadedModule> modules_;
  std::vector<std::optional<size_t>> module_of_mapping_;  // beside RawCrash::mappings
};

}  // namespace crashcrawler
