#include "runner/attribute/pkg_config.h"

#include <algorithm>
#include <filesystem>

#include "runner/attribute/text_lines.h"

namespace crashcrawler {
namespace {

namespace fs = std::filesystem;

constexpr size_t kLargestFile = 64 << 10;
constexpr size_t kMostFiles = 1024;  // of one folder
constexpr size_t kLongestValue = 4096;
constexpr int kDeepest = 16;  // of variables in variables, and of folders up to the top

using Variables = std::map<std::string, std::string, std::less<>>;

// With ${name} replaced; what is unknown is nothing, as for pkg-config.
std::string expanded(std::string_view value, const Variables& variables, int depth = 0) {
  std::string text;
  while (!value.empty() && text.size() < kLongestValue) {
    const size_t start = std::min(value.find("${"), value.size());
    text += value.substr(0, start);
    value.remove_prefix(start);
    const size_t end = value.find('}');
    if (end == std::string_view::npos) {
      text += value;
      break;
    }
    const auto variable = variables.find(value.substr(2, end - 2));
    if (variable != variables.end() && depth < kDeepest) {
      text += expanded(variable->second, variables, depth + 1);
    }
    value.remove_prefix(end + 1);
  }
  return text.substr(0, kLongestValue);
}

std::vector<std::string> libraries_in(std::string_view flags) {
  std::vector<std::string> names;
  while (!(flags = trimmed(flags)).empty()) {
    std::string_view word = flags.substr(0, flags.find_first_of(" \t"));
    flags.remove_prefix(word.size());
    if (consume_prefix(word, "-l")) {
      names.emplace_back(word);
    }
  }
  return names;
}

}  // namespace

PkgConfigFile parse_pkg_config(std::string_view text, const std::string& path) {
  Variables variables;
  std::string version, libs;
  for_each_line(text, [&](std::string_view line) {
    line = trimmed(line.substr(0, line.find('#')));
    const size_t end = line.find_first_of(":=");
    if (end == std::string_view::npos) {
      return;
    }
    const std::string_view name = trimmed(line.substr(0, end)),
                           value = trimmed(line.substr(end + 1));
    if (line[end] == '=') {
      variables.emplace(name, value);
    } else if (name == "Version") {
      version = value;
    } else if (name == "Libs") {
      libs = value;
    }
  });
  return {path, expanded(version, variables), libraries_in(expanded(libs, variables))};
}

std::string linker_name(std::string_view file_name) {
  if (!consume_prefix(file_name, "lib")) {
    return {};
  }
  const size_t end = file_name.find(".so");
  const std::string_view rest = end == std::string_view::npos ? "?" : file_name.substr(end + 3);
  return rest.empty() || rest.front() == '.' ? std::string(file_name.substr(0, end)) : "";
}

const std::vector<PkgConfigFile>& PkgConfigFiles::in_folder(RootFiles& root,
                                                            const std::string& folder) {
  const auto [known, is_new] = folders_.try_emplace(root.name_of(folder));
  if (!is_new) {
    return known->second;
  }
  Result<std::vector<std::string>> names = root.list(folder);
  if (!names) {
    return known->second;
  }
  std::erase_if(*names, [](const std::string& name) { return !name.ends_with(".pc"); });
  std::sort(names->begin(), names->end());
  names->resize(std::min(names->size(), kMostFiles));
  std::string text;
  for (const std::string& name : *names) {
    const std::string path = folder + "/" + name;
    if (root.read(path, kLargestFile, text)) {
      known->second.push_back(parse_pkg_config(text, root.name_of(path)));
    }
  }
  return known->second;
}

std::optional<PkgConfigFile> PkgConfigFiles::find(RootFiles& root, const std::string& path,
                                                  const std::string& top) {
  const std::string name = linker_name(fs::path(path).filename().string());
  if (name.empty()) {
    return std::nullopt;
  }
  const fs::path folder = fs::path(path).parent_path(), above = folder.parent_path();
  std::vector<fs::path> folders{folder, folder / "pkgconfig", above / "pkgconfig",
                                above / "lib/pkgconfig", above / "share/pkgconfig"};
  fs::path here = folder;
  for (int i = 0; i < kDeepest && !top.empty() && here != top && here.has_relative_path(); ++i) {
    here = here.parent_path();
    folders.push_back(here);
  }
  for (const fs::path& place : folders) {
    for (const PkgConfigFile& file : in_folder(root, place.string())) {
      if (!file.version.empty() &&
          std::find(file.libraries.begin(), file.libraries.end(), name) != file.libraries.end()) {
        return file;
      }
    }
  }
  return std::nullopt;
}

}  // namespace crashcrawler
