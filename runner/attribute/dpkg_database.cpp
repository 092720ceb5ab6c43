// One pass over the list files.
//
// A machine has some thousand of them, 10 to 30 MB and several 100,000 lines, and we look for a few
// dozen paths. Rivals: dpkg -S (reads the same, into a tree, once per call); memmem() for each path (one
// pass per path); a hash of every line (must read every byte twice). What is done: find the line
// ends with memchr, which costs next to nothing, and hash only the lines whose length is one of the
// lengths looked for. File opening dominates then: some 5 us each. So libc6.list is opened before the others when libc.so.6 is
// looked for, and often that is all.
//
// What would break it: a list file that is compressed or renamed (the format is fixed by
// info/format "1", which dpkg has had since 1.16.2), lines that are not one absolute path.
#include "runner/attribute/dpkg_database.h"

#include <algorithm>
#include <cctype>
#include <unordered_map>

#include "runner/attribute/text_lines.h"

namespace crashcrawler {
namespace {

constexpr std::string_view kListSuffix = ".list";
constexpr std::string_view kSumsSuffix = ".md5sums";
constexpr size_t kLargestList = size_t{64} << 20;

}  // namespace

PackageKey parse_package_key(std::string_view key) {
  const size_t colon = key.find(':');
  if (colon == std::string_view::npos) {
    return {std::string(key), ""};
  }
  return {std::string(key.substr(0, colon)), std::string(key.substr(colon + 1))};
}

Result<std::vector<Diversion>> parse_diversions(std::string_view text, const std::string& file) {
  std::vector<std::string> lines;
  for_each_line(text, [&](std::string_view line) { lines.emplace_back(line); });
  if (lines.size() % 3 != 0) {
    return Error{file + " has " + std::to_string(lines.size()) +
                 " lines, but a diversion is three lines; check it with dpkg-divert --list"};
  }
  std::vector<Diversion> diversions;
  for (size_t i = 0; i < lines.size(); i += 3) {
    diversions.push_back({lines[i], lines[i + 1], lines[i + 2]});
  }
  return diversions;
}

std::vector<PackageState> parse_status(std::string_view text, const std::string& file,
                                       const std::vector<PackageKey>& wanted,
                                       std::vector<std::string>& problems) {
  std::unordered_multimap<std::string_view, size_t> by_name;
  for (size_t i = 0; i < wanted.size(); ++i) {
    by_name.emplace(wanted[i].name, i);
  }

  std::vector<PackageState> found(wanted.size());
  std::string_view name, version, architecture, state;
  size_t line_number = 0, malformed_line = 0;
  const auto end_paragraph = [&] {
    // "deinstall ok config-files" and its like: the files are gone, another paragraph may have
    // them.
    const bool installed = state.empty() || state.substr(state.rfind(' ') + 1) == "installed";
    const auto [first, last] = by_name.equal_range(name);
    for (auto match = first; match != last; ++match) {
      const PackageKey& key = wanted[match->second];
      PackageState& slot = found[match->second];
      const bool fits = key.architecture.empty() || key.architecture == architecture;
      if (fits && (installed || slot.version.empty())) {
        slot = {std::string(name), std::string(version), std::string(architecture)};
      }
    }
    name = version = architecture = state = {};
  };
  for_each_line(text, [&](std::string_view line) {
    ++line_number;
    if (line.empty()) {
      end_paragraph();
      return;
    }
    if (line[0] == ' ' || line[0] == '\t') {
      return;  // a continuation of the field before
    }
    if (consume_prefix(line, "Package:")) {
      name = trimmed(line);
    } else if (consume_prefix(line, "Version:")) {
      version = trimmed(line);
    } else if (consume_prefix(line, "Architecture:")) {
      architecture = trimmed(line);
    } else if (consume_prefix(line, "Status:")) {
      state = trimmed(line);
    } else if (malformed_line == 0 && line.find(':') == std::string_view::npos) {
      malformed_line = line_number;
    }
  });
  end_paragraph();
  if (malformed_line != 0) {
    problems.push_back(file + ":" + std::to_string(malformed_line) +
                       " is neither a field nor its continuation; check it with dpkg --audit");
  }
  return found;
}

namespace {

// "libstdc++6" for libstdc++.so.6.0.30, "libgcc-s1" for libgcc_s.so.1, "cmake" for cmake: how Debian names the package of a
// file (Debian Policy, 8.1), as far as it goes.
struct LikelyName {
  std::string stem, version;  // "libgcc-s", "1"
};

LikelyName likely_name(std::string_view path) {
  std::string file(path.substr(path.rfind('/') + 1));
  std::ranges::transform(file, file.begin(), [](unsigned char c) {
    return c == '_' ? '-' : static_cast<char>(std::tolower(c));
  });
  const size_t so = file.find(".so");
  if (so == std::string::npos) {
    return {file, ""};
  }
  const size_t version = std::min(so + 4, file.size());
  return {file.substr(0, so), file.substr(version, file.find('.', version) - version)};
}

// The list files of `files`, likely ones first, each group by name: where two packages have one path, the same one is found
// everywhere.
std::vector<std::string> likely_first(std::vector<std::string> files, std::string_view suffix,
                                      const std::vector<std::string>& paths) {
  std::vector<LikelyName> names;
  for (const std::string& path : paths) {
    names.push_back(likely_name(path));
  }
  std::vector<std::pair<int, std::string>> ranked;
  for (std::string& file : files) {
    if (!file.ends_with(suffix)) {
      continue;
    }
    const std::string package = parse_package_key(file.substr(0, file.size() - suffix.size())).name;
    int rank = 2;
    for (const LikelyName& name : names) {
      std::string_view rest = package;
      if (consume_prefix(rest, name.stem)) {
        const bool exact =
            rest == name.version || (rest.starts_with('-') && rest.substr(1) == name.version);
        rank = std::min(rank, exact ? 0 : 1);
      }
    }
    ranked.emplace_back(rank, std::move(file));
  }
  std::ranges::sort(ranked);
  files.clear();
  for (auto& [rank, file] : ranked) {
    files.push_back(std::move(file));
  }
  return files;
}

}  // namespace

Result<OwnersByPath> find_owners(RootFiles& root, const std::string& directory, FileLists lists,
                                 const std::vector<std::string>& paths,
                                 const std::function<bool(const OwnersByPath&)>& is_enough,
                                 std::vector<std::string>& problems) {
  Result<std::vector<std::string>> files = root.list(directory);
  if (!files) {
    return files.error();
  }
  const std::string_view suffix = lists == FileLists::list ? kListSuffix : kSumsSuffix;
  const WantedPaths wanted(paths);
  OwnersByPath owners;
  std::string list, absolute;
  for (const std::string& file : likely_first(std::move(*files), suffix, paths)) {
    if (is_enough(owners)) {
      break;
    }
    if (const Result<void> read = root.read(directory + "/" + file, kLargestList, list); !read) {
      problems.push_back(read.error().message);
      continue;
    }
    const std::string package = file.substr(0, file.size() - suffix.size());
    for_each_line(list, [&](std::string_view line) {
      if (lists == FileLists::md5sums) {  // "d41d8cd98f00b204e9800998ecf8427e  usr/bin/x"
        const size_t gap = line.find("  ");
        absolute = "/";
        absolute += gap == std::string_view::npos ? "" : line.substr(gap + 2);
        line = absolute;
      }
      if (const std::string* path = wanted.find(line)) {
        owners[*path].push_back(package);
      }
    });
  }
  for (auto& [path, packages] : owners) {
    std::sort(packages.begin(), packages.end());
  }
  return owners;
}

}  // namespace crashcrawler
