// A module is one loading of one file. The kernel only shows mappings, so they have to be put
// together again.
//
// Mappings of one file belong together when they agree on the load bias, the distance between the
// addresses in the file and those in memory: each PT_LOAD that covers the file offset of a mapping
// gives a bias that it could have come from. The executable mappings decide which of them exist;
// others join one of those. Grouping by file alone would melt the two libc of a dlmopen() into one,
// grouping by neighbourhood would break at the .bss or a RELRO page in between, and a program that
// also maps its own file as data would seem to reach from one mapping to the other.
//
// When the file cannot be read, neighbours of one file are taken together while their offsets do
// not go back, and the bias is guessed from the lowest: right for everything whose first segment is
// at offset and address 0, which is all position independent code that ld, gold and lld make.
#include "runner/unwind/modules.h"

#include <elf.h>

#include <algorithm>
#include <map>
#include <numeric>

namespace crashcrawler {

namespace {

constexpr uint64_t kPage = 4096;
constexpr uint64_t kOverrun = 1u << 20;

// Which load biases `mapping` could come from.
std::vector<uint64_t> possible_biases(const ElfImage& image, const Mapping& mapping,
                                      bool executable_only) {
  std::vector<uint64_t> biases;
  for (const LoadSegment& segment : image.segments()) {
    const uint64_t first = segment.file_offset / kPage * kPage;
    const bool covered = mapping.file_offset >= first &&
                         mapping.file_offset - first <
                             segment.file_offset - first + std::max<uint64_t>(segment.file_size, 1);
    if (covered && (segment.executable || !executable_only)) {
      biases.push_back(mapping.start - mapping.file_offset + segment.file_offset -
                       segment.virtual_address);
    }
  }
  return biases;
}

bool contains(const std::vector<uint64_t>& values, uint64_t value) {
  return std::find(values.begin(), values.end(), value) != values.end();
}

}  // namespace

ModuleMap::ModuleMap(const RawCrash& crash, const PinnedFiles& files, ImageSource& images)
    : crash_(crash), module_of_mapping_(crash.mappings.size()) {
  uint64_t vdso = 0;
  for (const auto& [type, value] : crash.auxv) {
    if (type == AT_SYSINFO_EHDR) {
      vdso = value;
    }
  }
  std::map<FileKey, std::vector<size_t>> mappings_of_file;
  for (size_t i = 0; i < crash.mappings.size(); ++i) {
    const Mapping& mapping = crash.mappings[i];
    if (!mapping.path.empty()) {
      mappings_of_file[file_key(mapping)].push_back(i);
    } else if (vdso >= mapping.start && vdso < mapping.end) {
      add_vdso(i, images);
    }
  }
  for (const auto& [key, mappings] : mappings_of_file) {
    add_file(key, mappings, files, images);
  }
  sort_modules();
}

size_t ModuleMap::start_module(const FileKey& key, const PinnedFiles& files,
                               const ImageResult& image) {
  LoadedModule loaded;
  loaded.module.path = key.path;
  loaded.module.base = ~uint64_t{0};
  const auto pinned = files.find(key);
  loaded.module.changed_on_disk = pinned != files.end() && pinned->second.changed;
  loaded.module.deleted = pinned != files.end() && pinned->second.vanished;
  if (image) {
    loaded.image = *image;
    loaded.module.build_id = loaded.image->build_id();
    loaded.module.soname = loaded.image->soname();
    loaded.module.package_note = loaded.image->origin().package_note;
    loaded.module.symbol_version = loaded.image->origin().symbol_version;
    loaded.module.compilers = loaded.image->origin().compilers;
  } else {
    loaded.why_no_image = image.error().message;
  }
  modules_.push_back(std::move(loaded));
  return modules_.size() - 1;
}

void ModuleMap::join(size_t module, size_t index) {
  const Mapping& mapping = crash_.mappings[index];
  Module& joined = modules_[module].module;
  joined.base = std::min(joined.base, mapping.start);
  joined.end = std::max(joined.end, mapping.end);
  joined.deleted = joined.deleted || mapping.deleted;
  module_of_mapping_[index] = module;
}

void ModuleMap::add_file(const FileKey& key, const std::vector<size_t>& mappings,
                         const PinnedFiles& files, ImageSource& images) {
  const bool runs = std::any_of(mappings.begin(), mappings.end(),
                                [&](size_t i) { return crash_.mappings[i].executable; });
  const ImageResult image = images.file(key);
  if (!image && !runs) {
    return;  // data
  }

  std::map<uint64_t, size_t> module_of_bias;
  const auto module_with = [&](uint64_t bias) {
    const auto known = module_of_bias.find(bias);
    if (known != module_of_bias.end()) {
      return known->second;
    }
    const size_t started = start_module(key, files, image);
    modules_[started].module.load_bias = bias;
    return module_of_bias[bias] = started;
  };

  if (image) {
    for (const size_t i : mappings) {
      const Mapping& mapping = crash_.mappings[i];
      if (mapping.executable || !runs) {
        const std::vector<uint64_t> biases = possible_biases(**image, mapping, runs);
        join(module_with(biases.empty() ? mapping.start - mapping.file_offset : biases.front()), i);
      }
    }
    for (const size_t i : mappings) {
      const std::vector<uint64_t> biases = possible_biases(**image, crash_.mappings[i], false);
      for (const auto& [bias, module] : module_of_bias) {
        if (!module_of_mapping_[i] && contains(biases, bias)) {
          join(module, i);
        }
      }
    }
    return;
  }

  const Mapping* previous = nullptr;
  uint64_t bias = 0;
  for (const size_t i : mappings) {
    const Mapping& mapping = crash_.mappings[i];
    if (previous == nullptr || mapping.file_offset < previous->file_offset) {
      bias = mapping.start - mapping.file_offset;
    }
    join(module_with(bias), i);
    previous = &mapping;
  }
}

void ModuleMap::add_vdso(size_t index, ImageSource& images) {
  const Mapping& mapping = crash_.mappings[index];
  const ImageResult image = images.vdso(crash_.architecture, mapping.end - mapping.start);
  FileKey key;
  key.path = "[vdso]";
  const size_t module = start_module(key, {}, image);
  join(module, index);
  const LoadedModule& loaded = modules_[module];
  const uint64_t first = loaded.image && !loaded.image->segments().empty()
                             ? loaded.image->segments().front().virtual_address
                             : 0;
  modules_[module].module.load_bias = mapping.start - first;
}

void ModuleMap::sort_modules() {
  std::vector<size_t> order(modules_.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(),
            [&](size_t a, size_t b) { return modules_[a].module.base < modules_[b].module.base; });
  std::vector<LoadedModule> sorted;
  std::vector<size_t> place(modules_.size());
  for (const size_t old : order) {
    place[old] = sorted.size();
    sorted.push_back(std::move(modules_[old]));
  }
  modules_ = std::move(sorted);
  for (std::optional<size_t>& module : module_of_mapping_) {
    if (module) {
      module = place[*module];
    }
  }
}

const Mapping* ModuleMap::mapping(uint64_t address) const {
  const auto after =
      std::upper_bound(crash_.mappings.begin(), crash_.mappings.end(), address,
                       [](uint64_t wanted, const Mapping& m) { return wanted < m.start; });
  if (after == crash_.mappings.begin() || address >= std::prev(after)->end) {
    return nullptr;
  }
  return &*std::prev(after);
}

const Mapping* ModuleMap::stack_of(uint64_t sp) const {
  const auto after =
      std::upper_bound(crash_.mappings.begin(), crash_.mappings.end(), sp,
                       [](uint64_t wanted, const Mapping& m) { return wanted < m.start; });
  if (after != crash_.mappings.begin()) {
    const Mapping& before = *std::prev(after);
    if (sp < before.end && before.writable) {
      return &before;
    }
  }
  // a guard page, if it has a mapping of its own, is not writable
  for (auto next = after; next != crash_.mappings.end() && next->start - sp < kOverrun; ++next) {
    if (next->writable) {
      return &*next;
    }
  }
  return nullptr;
}

std::optional<size_t> ModuleMap::find(uint64_t address) const {
  const Mapping* found = mapping(address);
  return found != nullptr ? module_of_mapping_[static_cast<size_t>(found - crash_.mappings.data())]
                          : std::nullopt;
}

bool ModuleMap::is_executable(uint64_t address) const {
  const Mapping* found = mapping(address);
  return found != nullptr && found->executable;
}

void ModuleMap::add_code(AddressSpace& memory) const {
  for (size_t i = 0; i < crash_.mappings.size(); ++i) {
    const Mapping& mapping = crash_.mappings[i];
    if (!mapping.executable || mapping.writable || !module_of_mapping_[i]) {
      continue;
    }
    const LoadedModule& module = modules_[*module_of_mapping_[i]];
    const std::string_view bytes = module.image ? module.image->bytes() : std::string_view();
    const uint64_t offset = mapping.path.empty() ? 0 : mapping.file_offset;  // the vdso: all of it
    if (offset < bytes.size()) {
      memory.add_file_bytes(mapping.start, bytes.substr(offset, mapping.end - mapping.start));
    }
  }
}

}  // namespace crashcrawler
