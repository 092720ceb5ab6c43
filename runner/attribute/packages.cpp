#include "runner/attribute/packages.h"

#include <sys/stat.h>

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <tuple>
#include <utility>

#include "runner/attribute/apk_database.h"
#include "runner/attribute/dpkg_packages.h"
#include "runner/attribute/package_note.h"
#include "runner/attribute/pacman_database.h"
#include "runner/attribute/rpm_database.h"
#include "runner/attribute/versions.h"

namespace crashcrawler {
namespace {

// One file of the dead processes, with every module that is made of it.
struct MappedFile {
  const RootDirectory* root = nullptr;  // null: not known
  std::string path;                     // in there
  const RootDirectory* ours = nullptr;  // where the same file lies at this path, too
  Package package;
  std::vector<ModuleVersion> versions;
  std::vector<Module*> modules;

  const Module& module() const { return *modules.front(); }
};

// "[vdso]", "/memfd:x" and "anon_inode" have no package; nor has a name that is not absolute.
bool is_file(const Module& module) {
  return module.path.starts_with('/') && !module.path.starts_with("/memfd:");
}

const PinnedFile* file_of(const Module& module, const RawCrash& crash, const PinnedFiles& files) {
  const auto mapping = std::ranges::lower_bound(crash.mappings, module.base, {}, &Mapping::start);
  if (mapping == crash.mappings.end() || mapping->path != module.path) {
    return nullptr;
  }
  const auto file = files.find(file_key(*mapping));
  return file == files.end() ? nullptr : &file->second;
}

std::vector<MappedFile> distinct_files(std::vector<CrashReport>& crashes,
                                       const PinnedFiles& pinned) {
  using Identity = std::tuple<const RootDirectory*, std::string_view, std::string_view, bool, bool>;
  std::map<Identity, size_t> index;
  std::vector<MappedFile> files;
  for (CrashReport& crash : crashes) {
    for (Module& module : crash.backtrace.modules) {
      if (!is_file(module)) {
        continue;
      }
      const PinnedFile* file = file_of(module, crash.raw, pinned);
      const RootDirectory* root = file != nullptr ? file->root.get() : nullptr;
      const std::string& path = root != nullptr ? file->path_in_root : module.path;
      const auto [known, is_new] = index.try_emplace(
          Identity{root, path, module.build_id, module.deleted, module.changed_on_disk},
          files.size());
      if (is_new) {
        files.push_back({root, path, file != nullptr ? file->ours.get() : nullptr, {}, {}, {}});
      }
      files[known->second].modules.push_back(&module);
    }
  }
  return files;
}

void ask_notes(std::vector<MappedFile>& files, std::vector<std::string>& problems) {
  for (MappedFile& file : files) {
    if (file.module().package_note.empty()) {
      continue;
    }
    Result<Package> package = parse_package_note(file.module().package_note);
    if (package) {
      file.package = std::move(*package);
    } else {
      problems.push_back(package.error().in(file.module().path).message);
    }
  }
}

// A database describes the file that lies there now, so of a file that was replaced or removed meanwhile the version
// is not known.
Package package_of(const MappedFile& file, Package package) {
  if (file.module().deleted || file.module().changed_on_disk) {
    package.version.clear();
  }
  return package;
}

bool is_gone(const RootDirectory& root) {
  struct stat status {};
  return ::fstat(root.fd.get(), &status) != 0 || status.st_nlink == 0;
}

void ask_databases(RootFiles& root, const std::vector<MappedFile*>& files,
                   std::vector<std::string>& problems) {
  using Database =
      PackageByPath (*)(RootFiles&, const std::vector<std::string>&, std::vector<std::string>&);
  for (const Database find : {Database{find_in_dpkg}, Database{find_in_rpm}, Database{find_in_apk},
                              Database{find_in_pacman}}) {
    std::set<std::string> paths;
    for (const MappedFile* file : files) {
      if (file->package.name.empty()) {
        paths.insert(file->path);
      }
    }
    if (paths.empty()) {
      return;
    }
    const PackageByPath found = find(root, {paths.begin(), paths.end()}, problems);
    for (MappedFile* file : files) {
      const auto package = found.find(file->path);
      if (file->package.name.empty() && package != found.end()) {
        file->package = package_of(*file, package->second);
      }
    }
  }
}

// Where the files of a process lie that had another root than we is known by that root. If it was gone, and they were found in
// several places, nobody knows what its package databases said.
bool is_root_missing(const CrashReport& crash, const PinnedFiles& pinned) {
  std::set<const RootDirectory*> roots;
  bool is_gone = false;
  for (const Module& module : crash.backtrace.modules) {
    if (const PinnedFile* file = is_file(module) ? file_of(module, crash.raw, pinned) : nullptr) {
      roots.insert(file->root.get());
      is_gone = is_gone || file->root_is_gone;
    }
  }
  return is_gone && (roots.size() > 1 || roots.contains(nullptr));
}

void note_missing_roots(std::vector<CrashReport>& crashes, const PinnedFiles& pinned) {
  for (CrashReport& crash : crashes) {
    if (is_root_missing(crash, pinned)) {
      crash.backtrace.soft_errors.push_back(
          "its root directory was gone before it could be opened: packages and versions are known "
          "only of files that were "
          "found elsewhere, too");
    }
  }
}

// The files of each root: ours comes last, with those that were found nowhere else.
std::vector<std::pair<const RootDirectory*, std::vector<MappedFile*>>> by_root(
    std::vector<MappedFile>& files) {
  std::map<const RootDirectory*, std::vector<MappedFile*>> files_of_root;
  for (MappedFile& file : files) {
    files_of_root[file.root].push_back(&file);
    if (file.ours != nullptr && file.ours != file.root) {
      files_of_root[file.ours].push_back(&file);
    }
  }
  std::vector<std::pair<const RootDirectory*, std::vector<MappedFile*>>> sorted(
      files_of_root.begin(), files_of_root.end());
  std::ranges::stable_partition(
      sorted, [](const auto& entry) { return entry.first == nullptr || !entry.first->is_ours; });
  return sorted;
}

}  // namespace

std::vector<std::string> attribute_modules(std::vector<CrashReport>& crashes,
                                           const PinnedFiles& pinned) {
  std::vector<std::string> problems;
  std::vector<MappedFile> files = distinct_files(crashes, pinned);
  ask_notes(files, problems);

  std::map<const RootDirectory*, std::unique_ptr<RootFiles>> roots;
  for (const auto& [directory, files_there] : by_root(files)) {
    if (directory == nullptr) {
      continue;
    }
    if (is_gone(*directory)) {
      problems.push_back("packages of the files in " + directory->name +
                         " are not known: that root directory was gone when the run had ended");
    }
    std::unique_ptr<RootFiles>& root = roots[directory];
    root = std::make_unique<RootFiles>(directory->fd.get(), directory->name);
    ask_databases(*root, files_there, problems);
  }

  VersionFinder versions;
  for (MappedFile& file : files) {
    const Package& package = file.package;
    if (package.name.empty()) {
      const auto root = roots.find(file.root);
      file.versions =
          versions.find(file.module(), root == roots.end() ? nullptr : root->second.get(),
                        file.path, file.root != nullptr && file.root->is_ours);
    } else if (!package.version.empty()) {
      file.versions = {{package.version, package.type, package.source}};
    }
    for (Module* module : file.modules) {
      module->package = package;
      module->versions = file.versions;
    }
  }
  note_missing_roots(crashes, pinned);
  return problems;
}

}  // namespace crashcrawler
