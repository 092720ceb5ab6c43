// The order. A pkg-config file was written by whoever made the release. A name with more than one number is that of a
// release too, mostly; one number alone is that of the interface (libfoo.so.6) and says least. Symbols tell at least
// which release it is as new as. git knows best what was built, but in its own words, and of the tree as it is now.
#include "runner/attribute/versions.h"

#include <filesystem>

namespace crashcrawler {
namespace {

bool is_version(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789.") == std::string_view::npos &&
         text.front() != '.' && text.back() != '.';
}

}  // namespace

std::string version_in_name(const std::string& file_name) {
  const std::string_view name = file_name;
  const size_t suffix = name.find(".so");
  if (suffix == std::string_view::npos) {
    return {};
  }
  const std::string_view behind = name.substr(suffix + 3);
  if (behind.starts_with('.') && is_version(behind.substr(1))) {
    return std::string(behind.substr(1));
  }
  const std::string_view before = name.substr(0, suffix);
  const size_t dash = before.rfind('-');
  if (behind.empty() && dash != std::string_view::npos && is_version(before.substr(dash + 1))) {
    return std::string(before.substr(dash + 1));
  }
  return {};
}

std::vector<ModuleVersion> VersionFinder::find(const Module& module, RootFiles* root,
                                               const std::string& path, bool is_ours) {
  std::vector<ModuleVersion> versions;
  const std::string tree = is_ours ? git_.tree_of(path) : "";
  if (root != nullptr) {
    if (const std::optional<PkgConfigFile> file = pkg_config_.find(*root, path, tree)) {
      versions.push_back({file->version, "pkg_config", file->path});
    }
  }
  const std::string in_name = version_in_name(std::filesystem::path(path).filename().string());
  const bool is_interface = in_name.find('.') == std::string::npos;
  if (!in_name.empty() && !is_interface) {
    versions.push_back({in_name, "file_name", ""});
  }
  if (!module.symbol_version.empty()) {
    versions.push_back({module.symbol_version, "symbol_versions", ""});
  }
  if (!tree.empty()) {
    if (const std::optional<std::string> words = git_.describe(tree)) {
      versions.push_back({*words, "git", tree});
    }
  }
  if (!in_name.empty() && is_interface) {
    versions.push_back({in_name, "file_name", ""});
  }
  return versions;
}

}  // namespace crashcrawler
