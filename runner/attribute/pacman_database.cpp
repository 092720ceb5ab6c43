#include "runner/attribute/pacman_database.h"

#include <algorithm>

#include "runner/attribute/text_lines.h"

namespace crashcrawler {
namespace {

const std::string kDatabase = "/var/lib/pacman/local";
constexpr size_t kLargestFile = size_t{64} << 20;

// Both files are sections: a line "%NAME%", the values, an empty line.
template <typename Visit>
void for_each_value(std::string_view text, Visit&& visit) {
  std::string_view section;
  for_each_line(text, [&](std::string_view line) {
    if (line.size() > 2 && line.front() == '%' && line.back() == '%') {
      section = line;
    } else if (!line.empty()) {
      visit(section, line);
    }
  });
}

Package read_description(std::string_view text, const std::string& source) {
  Package package{"alpm", "", "", "", source};
  for_each_value(text, [&](std::string_view section, std::string_view value) {
    std::string* field = section == "%NAME%"      ? &package.name
                         : section == "%VERSION%" ? &package.version
                         : section == "%ARCH%"    ? &package.architecture
                                                  : nullptr;
    if (field != nullptr && field->empty()) {
      *field = value;
    }
  });
  return package;
}

}  // namespace

PackageByPath find_in_pacman(RootFiles& root, const std::vector<std::string>& paths,
                             std::vector<std::string>& problems) {
  if (!root.exists(kDatabase)) {
    return {};
  }
  Result<std::vector<std::string>> packages = root.list(kDatabase);
  if (!packages) {
    problems.push_back(packages.error().message);
    return {};
  }
  std::sort(packages->begin(), packages->end());
  const std::vector<std::string> names = all_names(paths);
  const WantedPaths wanted(names);
  PackageByPath recorded;
  std::string text, path;
  for (const std::string& folder : *packages) {
    const std::string files = kDatabase + "/" + folder + "/files";
    if (folder == "ALPM_DB_VERSION" || !root.exists(files)) {  // a package may be without files
      continue;
    }
    if (const Result<void> read = root.read(files, kLargestFile, text); !read) {
      problems.push_back(read.error().message);
      continue;
    }
    std::vector<const std::string*> owned;
    for_each_value(text, [&](std::string_view section, std::string_view value) {
      path = "/";
      path += value;
      const std::string* asked = section == "%FILES%" ? wanted.find(path) : nullptr;
      if (asked != nullptr && !recorded.contains(*asked)) {
        owned.push_back(asked);
      }
    });
    if (owned.empty()) {
      continue;
    }
    const std::string description = kDatabase + "/" + folder + "/desc";
    const Result<void> read = root.read(description, kLargestFile, text);
    const Package package = read_description(read ? text : "", root.name_of(description));
    if (package.name.empty()) {
      problems.push_back(read ? root.name_of(description) +
                                    " names no package; check it with pacman -Dk"
                              : read.error().message);
      continue;
    }
    for (const std::string* asked : owned) {
      recorded.emplace(*asked, package);
    }
  }
  return by_asked_path(paths, recorded);
}

}  // namespace crashcrawler
