// Modules -> paths as dpkg may have recorded them -> owning packages -> their versions. Every file
// of the database is read at most once, whatever the number of crashes, and none when no module
// could belong to a package.
#include "runner/attribute/packages.h"

#include <sys/stat.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <set>

#include "runner/attribute/dpkg_database.h"
#include "runner/base/file.h"

namespace crashcrawler {
namespace {

constexpr size_t kLargestDatabaseFile = size_t{256} << 20;

// One file of the dead processes, and under which names and owners to look for it.
struct Lookup {
  std::vector<std::string> names;  // as mapped first, its merged-/usr alias after it
  std::string only_owner;          // of a diverted name: the package that diverted it
  std::string not_owner;           // of the name a file was diverted to: the same package
  std::string owner;               // found: the key of its list file
};

// "[vdso]", "/memfd:x" and "anon_inode" have no package; nor has a name that is not absolute.
bool could_be_packaged(const Module& module) {
  return module.package.name.empty() && module.path.starts_with('/') &&
         !module.path.starts_with("/memfd:");
}

bool is_among(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

std::vector<std::string> with_alias(const std::string& path) {
  std::vector<std::string> names{path};
  if (std::string alias = merged_usr_alias(path); !alias.empty()) {
    names.push_back(std::move(alias));
  }
  return names;
}

// dpkg-divert(1): the diverting package's file keeps the name; every other package's file of that
// name lies at `diverted_to`, while all list files go on saying `original`.
void apply_diversions(const std::vector<Diversion>& diversions, Lookup& lookup) {
  for (const Diversion& diversion : diversions) {
    if (is_among(lookup.names, diversion.diverted_to)) {
      lookup.names = with_alias(diversion.original);
      lookup.not_owner = diversion.package;
      return;
    }
    if (is_among(lookup.names, diversion.original)) {
      lookup.only_owner = diversion.package;
      return;
    }
  }
}

void choose_owner(const OwnersByPath& owners, Lookup& lookup) {
  for (const std::string& name : lookup.names) {
    const auto found = owners.find(name);
    if (found == owners.end()) {
      continue;
    }
    for (const std::string& key : found->second) {
      const std::string package = parse_package_key(key).name;
      const bool diverted_by_other = !lookup.only_owner.empty() && package != lookup.only_owner;
      if (!diverted_by_other && package != lookup.not_owner) {
        lookup.owner = key;
        return;
      }
    }
  }
}

Result<std::vector<Diversion>> read_diversions(const std::string& file) {
  struct stat status {};
  if (::stat(file.c_str(), &status) != 0 && errno == ENOENT) {
    return std::vector<Diversion>{};
  }
  Result<std::string> text = read_file(file, kLargestDatabaseFile);
  return text ? parse_diversions(*text, file) : text.error();
}

// What is true of `module` when `state` owns its name. The database describes the file that lies
// there now, so of a file that was replaced or removed meanwhile the version is not known.
Package package_of(const Module& module, const PackageState& state, const std::string& source) {
  Package package{"deb", state.name, state.version, state.architecture, source};
  if (module.deleted || module.changed_on_disk) {
    package.version.clear();
  }
  return package;
}

// Looks every name up in the list files, in one pass, and notes the owner. False when there was
// none to read.
bool find_owners_of(std::map<std::string, Lookup>& lookups, const std::string& database,
                    std::vector<std::string>& problems) {
  Result<std::vector<Diversion>> diversions = read_diversions(database + "/diversions");
  if (!diversions) {
    problems.push_back(diversions.error().message);
    diversions = std::vector<Diversion>{};
  }
  std::set<std::string> names;
  for (auto& [path, lookup] : lookups) {
    apply_diversions(*diversions, lookup);
    names.insert(lookup.names.begin(), lookup.names.end());
  }
  const Result<OwnersByPath> owners =
      find_owners(database + "/info", {names.begin(), names.end()}, problems);
  if (!owners) {
    problems.push_back(owners.error().message);
    return false;
  }
  for (auto& [path, lookup] : lookups) {
    choose_owner(*owners, lookup);
  }
  return true;
}

// The state of every owner found, by the key of its list file.
std::map<std::string, PackageState> read_states(const std::map<std::string, Lookup>& lookups,
                                                const std::string& database,
                                                std::vector<std::string>& problems) {
  std::set<std::string> keys;
  for (const auto& [path, lookup] : lookups) {
    if (!lookup.owner.empty()) {
      keys.insert(lookup.owner);
    }
  }
  std::map<std::string, PackageState> states;
  if (keys.empty()) {
    return states;
  }
  const std::string file = database + "/status";
  const Result<std::string> text = read_file(file, kLargestDatabaseFile);
  if (!text) {
    problems.push_back(text.error().message);
    return states;
  }
  std::vector<PackageKey> wanted;
  std::transform(keys.begin(), keys.end(), std::back_inserter(wanted), parse_package_key);
  const std::vector<PackageState> found = parse_status(*text, file, wanted, problems);
  size_t i = 0;
  for (const std::string& key : keys) {
    const PackageState& state = found[i++];
    if (state.name.empty()) {
      problems.push_back(database + "/info/" + key + ".list exists, but " + file +
                         " has no package " + key + "; check the database with dpkg --audit");
    } else {
      states.emplace(key, state);
    }
  }
  return states;
}

Error joined(const std::vector<std::string>& problems) {
  std::string text;
  for (const std::string& problem : problems) {
    text += (text.empty() ? "" : "; ") + problem;
  }
  return Error{text};
}

}  // namespace

Result<void> find_packages(std::vector<std::vector<Module>*> modules_of_crashes,
                           const std::string& root) {
  std::map<std::string, Lookup> lookups;  // by path as mapped
  for (const std::vector<Module>* modules : modules_of_crashes) {
    for (const Module& module : *modules) {
      if (could_be_packaged(module)) {
        lookups.try_emplace(module.path, Lookup{with_alias(module.path), "", "", ""});
      }
    }
  }
  if (lookups.empty()) {
    return {};
  }
  const std::string database = root.substr(0, root.find_last_not_of('/') + 1) + "/var/lib/dpkg";
  const std::string status_file = database + "/status";
  struct stat status {};
  if (::stat(status_file.c_str(), &status) != 0) {
    const bool no_dpkg_here = errno == ENOENT || errno == ENOTDIR;
    return no_dpkg_here ? Result<void>() : errno_error("cannot read " + status_file);
  }

  std::vector<std::string> problems;
  if (find_owners_of(lookups, database, problems)) {
    const std::map<std::string, PackageState> states = read_states(lookups, database, problems);
    for (std::vector<Module>* modules : modules_of_crashes) {
      for (Module& module : *modules) {
        if (!could_be_packaged(module)) {
          continue;
        }
        const auto state = states.find(lookups.at(module.path).owner);
        if (state != states.end()) {
          module.package = package_of(module, state->second, status_file);
        }
      }
    }
  }
  return problems.empty() ? Result<void>() : joined(problems);
}

}  // namespace crashcrawler
