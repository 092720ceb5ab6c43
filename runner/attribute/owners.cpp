#include "runner/attribute/owners.h"

#include "runner/attribute/text_lines.h"

namespace crashcrawler {

std::string merged_usr_alias(const std::string& path) {
  static constexpr std::string_view kMerged[] = {"/bin/",   "/sbin/",  "/lib/",
                                                 "/lib32/", "/lib64/", "/libx32/"};
  std::string_view rest = path;
  const bool below_usr = consume_prefix(rest, "/usr");
  for (const std::string_view directory : kMerged) {
    if (rest.starts_with(directory)) {
      return below_usr ? std::string(rest) : "/usr" + path;
    }
  }
  return {};
}

std::vector<std::string> with_alias(const std::string& path) {
  std::vector<std::string> names{path};
  if (std::string alias = merged_usr_alias(path); !alias.empty()) {
    names.push_back(std::move(alias));
  }
  return names;
}

WantedPaths::WantedPaths(const std::vector<std::string>& paths) {
  for (const std::string& path : paths) {
    if (path.size() < lengths_.size()) {
      lengths_[path.size()] = true;
      paths_.emplace(path, &path);
    }
  }
}

const std::string* WantedPaths::find(std::string_view line) const {
  if (line.size() >= lengths_.size() || !lengths_[line.size()]) {
    return nullptr;
  }
  const auto found = paths_.find(line);
  return found == paths_.end() ? nullptr : found->second;
}

std::vector<std::string> all_names(const std::vector<std::string>& paths) {
  std::vector<std::string> names;
  for (const std::string& path : paths) {
    for (std::string& name : with_alias(path)) {
      names.push_back(std::move(name));
    }
  }
  return names;
}

PackageByPath by_asked_path(const std::vector<std::string>& paths, const PackageByPath& recorded) {
  PackageByPath found;
  for (const std::string& path : paths) {
    for (const std::string& name : with_alias(path)) {
      if (const auto package = recorded.find(name); package != recorded.end()) {
        found.emplace(path, package->second);
        break;
      }
    }
  }
  return found;
}

}  // namespace crashcrawler
