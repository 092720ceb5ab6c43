// The question that every package database is asked, and its answer.
#pragma once

#include <array>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "runner/model/module.h"

namespace crashcrawler {

// The other name of `path` on a system where /bin, /lib ... are links into /usr; empty when it has
// none. Packages of the transition record the one or the other (https://wiki.debian.org/UsrMerge).
std::string merged_usr_alias(const std::string& path);

// `path`, and its merged-/usr alias after it.
std::vector<std::string> with_alias(const std::string& path);

// Paths looked for, with the lengths they have: of the millions of lines of a database only those
// of a length that is looked for are hashed.
class WantedPaths {
 public:
  explicit WantedPaths(const std::vector<std::string>& paths);

  // The one of `paths` that is `line`; null: none.
  const std::string* find(std::string_view line) const;

 private:
  static constexpr size_t kLongestPath = 4096;  // PATH_MAX

  std::array<bool, kLongestPath> lengths_{};
  std::unordered_map<std::string_view, const std::string*> paths_;
};

// Packages by the absolute path that was asked for. Paths without an owner are absent.
using PackageByPath = std::map<std::string, Package>;

// All names that the paths may be recorded under, for WantedPaths.
std::vector<std::string> all_names(const std::vector<std::string>& paths);

// What was found under `recorded` names, by the paths asked for: its own name goes before its alias.
PackageByPath by_asked_path(const std::vector<std::string>& paths, const PackageByPath& recorded);

}  // namespace crashcrawler
