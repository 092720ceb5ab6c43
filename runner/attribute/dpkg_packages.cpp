#include "runner/attribute/dpkg_packages.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <iterator>
#include <optional>
#include <set>

#include "runner/attribute/dpkg_database.h"

namespace crashcrawler {
namespace {

constexpr size_t kLargestDatabaseFile = size_t{256} << 20;
const std::string kDatabase = "/var/lib/dpkg";

// One file of the dead processes, and under which names and owners to look for it.
struct Lookup {
  std::vector<std::string> names;  // as mapped first, its merged-/usr alias after it
  std::string only_owner;          // of a diverted name: the package that diverted it
  std::string not_owner;           // of the name a file was diverted to: the same package
  std::string owner;               // found: the key of its list file
};
using Lookups = std::map<std::string, Lookup>;  // by path as mapped

bool is_among(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
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

std::vector<Diversion> read_diversions(RootFiles& root, std::vector<std::string>& problems) {
  const std::string file = kDatabase + "/diversions";
  if (!root.exists(file)) {
    return {};
  }
  std::string text;
  const Result<void> read = root.read(file, kLargestDatabaseFile, text);
  Result<std::vector<Diversion>> diversions = read ? parse_diversions(text, root.name_of(file))
                                                   : Result<std::vector<Diversion>>(read.error());
  if (!diversions) {
    problems.push_back(diversions.error().message);
    return {};
  }
  return *diversions;
}

// When its inode changed last; nullopt: there is no such file.
std::optional<timespec> changed_at(const RootFiles& root, const std::string& path) {
  const UniqueFd file = root.open(path, O_PATH);
  struct stat status {};
  return file && ::fstat(file.get(), &status) == 0 ? std::optional(status.st_ctim) : std::nullopt;
}

// Whether dpkg cannot have brought the file: it lies where no distribution's packages put files, and its inode has changed
// since dpkg wrote its database last, which it does after it has put the files in place. A build tree is such a place.
bool is_younger_than(const RootFiles& root, const timespec& database, const std::string& path) {
  static constexpr std::string_view kOfPackages[] = {
      "/bin/", "/boot/", "/etc/", "/lib", "/opt/", "/sbin", "/srv/", "/usr/", "/var/lib/"};
  const bool is_local = path.starts_with("/usr/local/");
  if (!is_local && std::ranges::any_of(kOfPackages, [&](std::string_view folder) {
        return path.starts_with(folder);
      })) {
    return false;
  }
  const std::optional<timespec> file = changed_at(root, path);
  return file &&
         std::pair(file->tv_sec, file->tv_nsec) > std::pair(database.tv_sec, database.tv_nsec);
}

// Where /lib is a link to /usr/lib, either name of a file is as good as the other.
bool has_merged_usr(const RootFiles& root) {
  const UniqueFd lib = root.open("/lib", O_PATH | O_NOFOLLOW);
  struct stat status {};
  return lib && ::fstat(lib.get(), &status) == 0 && S_ISLNK(status.st_mode);
}

// Nothing that the remaining lists could say would change the owner.
bool is_settled(const Lookup& lookup, const OwnersByPath& owners, bool any_name) {
  if (!lookup.only_owner.empty() || !lookup.not_owner.empty()) {
    return false;
  }
  return owners.contains(lookup.names.front()) ||
         (any_name && std::ranges::any_of(lookup.names, [&](const std::string& name) {
            return owners.contains(name);
          }));
}

// Looks every name up in the list files, in one pass, and notes the owner. False when there was
// none to read.
bool find_owners_of(RootFiles& root, Lookups& lookups, const std::string& directory,
                    FileLists lists, std::vector<std::string>& problems) {
  const std::vector<Diversion> diversions = read_diversions(root, problems);
  std::set<std::string> names;
  for (auto& [path, lookup] : lookups) {
    apply_diversions(diversions, lookup);
    names.insert(lookup.names.begin(), lookup.names.end());
  }
  const Result<OwnersByPath> owners = find_owners(
      root, directory, lists, {names.begin(), names.end()},
      [&, any_name = has_merged_usr(root)](const OwnersByPath& found) {
        return std::ranges::all_of(lookups, [&](const auto& lookup) {
          return is_settled(lookup.second, found, any_name);
        });
      },
      problems);
  if (!owners) {
    problems.push_back(owners.error().message);
    return false;
  }
  for (auto& [path, lookup] : lookups) {
    choose_owner(*owners, lookup);
  }
  return true;
}

std::set<std::string> owners_in(const Lookups& lookups) {
  std::set<std::string> keys;
  for (const auto& [path, lookup] : lookups) {
    if (!lookup.owner.empty()) {
      keys.insert(lookup.owner);
    }
  }
  return keys;
}

Package package_of(const PackageState& state, const std::string& source) {
  return {"deb", state.name, state.version, state.architecture, source};
}

// The packages of `keys` in one status file, by key.
std::map<std::string, Package> read_states(RootFiles& root, const std::string& file,
                                           const std::set<std::string>& keys,
                                           std::vector<std::string>& problems) {
  std::map<std::string, Package> packages;
  std::string text;
  if (const Result<void> read = root.read(file, kLargestDatabaseFile, text); !read) {
    problems.push_back(read.error().message);
    return packages;
  }
  std::vector<PackageKey> wanted;
  std::transform(keys.begin(), keys.end(), std::back_inserter(wanted), parse_package_key);
  const std::string name = root.name_of(file);
  const std::vector<PackageState> found = parse_status(text, name, wanted, problems);
  size_t i = 0;
  for (const std::string& key : keys) {
    const PackageState& state = found[i++];
    if (state.name.empty()) {
      problems.push_back(root.name_of(kDatabase) + " has a list of the files of " + key + ", but " +
                         name + " has no package " + key +
                         "; check the database with dpkg --audit");
    } else {
      packages.emplace(key, package_of(state, name));
    }
  }
  return packages;
}

}  // namespace

PackageByPath find_in_dpkg(RootFiles& root, const std::vector<std::string>& paths,
                           std::vector<std::string>& problems) {
  const std::string status = kDatabase + "/status", parts = kDatabase + "/status.d";
  const bool is_whole = root.exists(status);
  if (!is_whole && !root.exists(parts)) {
    return {};
  }
  const std::optional<timespec> written = is_whole ? changed_at(root, status) : std::nullopt;
  Lookups lookups;
  for (const std::string& path : paths) {
    if (written && is_younger_than(root, *written, path)) {
      continue;
    }
    lookups.try_emplace(path, Lookup{with_alias(path), "", "", ""});
  }
  PackageByPath found;
  if (!find_owners_of(root, lookups, is_whole ? kDatabase + "/info" : parts,
                      is_whole ? FileLists::list : FileLists::md5sums, problems)) {
    return found;
  }
  const std::set<std::string> keys = owners_in(lookups);
  std::map<std::string, Package> packages;
  if (is_whole && !keys.empty()) {
    packages = read_states(root, status, keys, problems);
  } else {
    for (const std::string& key : keys) {
      packages.merge(read_states(root, parts + "/" + key, {key}, problems));
    }
  }
  for (const auto& [path, lookup] : lookups) {
    if (const auto package = packages.find(lookup.owner); package != packages.end()) {
      found.emplace(path, package->second);
    }
  }
  return found;
}

}  // namespace crashcrawler
