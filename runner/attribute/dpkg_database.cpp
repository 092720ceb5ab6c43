// One pass over the list files.
//
// A machine has some thousand of them, 10 to 30 MB and several 100,000 lines, and we look for a few
// dozen paths, most of which (the program under test) are in none of them, so there is no early
// end. Rivals: dpkg -S (reads the same, into a tree, once per call); memmem() for each path (one
// pass per path); a hash of every line (must read every byte twice). What is done: find the line
// ends with memchr, which costs next to nothing, and hash only the lines whose length is one of the
// lengths looked for. File opening dominates then: some 5 us each.
//
// What would break it: a list file that is compressed or renamed (the format is fixed by
// info/format "1", which dpkg has had since 1.16.2), lines that are not one absolute path.
#include "runner/attribute/dpkg_database.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <memory>

#include "runner/base/unique_fd.h"

namespace crashcrawler {
namespace {

constexpr std::string_view kListSuffix = ".list";
constexpr size_t kLongestPath = 4096;  // PATH_MAX

// The lines of a text without their newlines; a last line without one counts.
template <typename Visit>
void for_each_line(std::string_view text, Visit&& visit) {
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    visit(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

bool consume_prefix(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) {
    return false;
  }
  text.remove_prefix(prefix.size());
  return true;
}

std::string_view trimmed(std::string_view text) {
  const size_t start = text.find_first_not_of(" \t\r");
  if (start == std::string_view::npos) {
    return {};
  }
  return text.substr(start, text.find_last_not_of(" \t\r") - start + 1);
}

// The whole file in `buffer`, which keeps its memory from file to file.
bool read_at(int directory, const char* name, std::string& buffer) {
  const UniqueFd fd(::openat(directory, name, O_RDONLY | O_CLOEXEC));
  struct stat status {};
  if (!fd || ::fstat(fd.get(), &status) != 0) {
    return false;
  }
  if (!S_ISREG(status.st_mode)) {
    errno = EINVAL;
    return false;
  }
  buffer.resize(static_cast<size_t>(status.st_size));
  size_t filled = 0;
  while (filled < buffer.size()) {
    const ssize_t got = ::read(fd.get(), buffer.data() + filled, buffer.size() - filled);
    if (got < 0 && errno == EINTR) {
      continue;
    }
    if (got < 0) {
      return false;
    }
    if (got == 0) {
      break;
    }
    filled += static_cast<size_t>(got);
  }
  buffer.resize(filled);
  return true;
}

// Paths looked for, with the lengths they have.
class WantedPaths {
 public:
  explicit WantedPaths(const std::vector<std::string>& paths) {
    for (const std::string& path : paths) {
      if (path.size() < lengths_.size()) {
        lengths_[path.size()] = true;
        paths_.emplace(path, &path);
      }
    }
  }

  const std::string* find(std::string_view line) const {
    if (line.size() >= lengths_.size() || !lengths_[line.size()]) {
      return nullptr;
    }
    const auto found = paths_.find(line);
    return found == paths_.end() ? nullptr : found->second;
  }

 private:
  std::array<bool, kLongestPath> lengths_{};
  std::unordered_map<std::string_view, const std::string*> paths_;
};

}  // namespace

PackageKey parse_package_key(std::string_view key) {
  const size_t colon = key.find(':');
  if (colon == std::string_view::npos) {
    return {std::string(key), ""};
  }
  return {std::string(key.substr(0, colon)), std::string(key.substr(colon + 1))};
}

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

Result<OwnersByPath> find_owners(const std::string& info_directory,
                                 const std::vector<std::string>& paths,
                                 std::vector<std::string>& problems) {
  const std::unique_ptr<DIR, int (*)(DIR*)> directory(::opendir(info_directory.c_str()),
                                                      ::closedir);
  if (!directory) {
    return errno_error("cannot open " + info_directory);
  }
  const WantedPaths wanted(paths);
  OwnersByPath owners;
  std::string list;
  for (;;) {
    errno = 0;
    const dirent* entry = ::readdir(directory.get());
    if (!entry) {
      break;
    }
    const std::string_view file = entry->d_name;
    if (!file.ends_with(kListSuffix)) {
      continue;
    }
    if (!read_at(::dirfd(directory.get()), entry->d_name, list)) {
      problems.push_back(
          errno_error("cannot read " + info_directory + "/" + entry->d_name).message);
      continue;
    }
    const std::string_view package = file.substr(0, file.size() - kListSuffix.size());
    for_each_line(list, [&](std::string_view line) {
      if (const std::string* path = wanted.find(line)) {
        owners[*path].emplace_back(package);
      }
    });
  }
  if (errno != 0) {
    return errno_error("cannot list " + info_directory);
  }
  // The folder's order is the file system's whim; two owners of one path shall be the same ones
  // everywhere.
  for (auto& [path, packages] : owners) {
    std::sort(packages.begin(), packages.end());
  }
  return owners;
}

}  // namespace crashcrawler
