#include "runner/attribute/git_describe.h"

#include <algorithm>
#include <filesystem>
#include <set>
#include <vector>

#include "runner/attribute/bounded_command.h"

namespace crashcrawler {
namespace {

namespace fs = std::filesystem;

constexpr CommandLimits kLimits{std::chrono::seconds(5), 64 << 10};
constexpr size_t kMostTrees = 16;  // asked in one run
constexpr size_t kLongestWord = 256;

// git(1). Configuration on the command line goes before that of the tree. safe.directory is for trees of other users,
// which a root in a container always meets; it guards what is switched off here anyway.
std::vector<std::string> quiet_git(const std::string& tree) {
  return {"git", "-C",
          tree,  "--no-pager",
          "-c",  "safe.directory=*",
          "-c",  "core.fsmonitor=false",
          "-c",  "core.hooksPath=/dev/null",
          "-c",  "diff.ignoreSubmodules=all",
          "-c",  "protocol.allow=never"};
}

const std::vector<std::string> kEnvironment{"LC_ALL=C",
                                            "HOME=/nonexistent",
                                            "GIT_CONFIG_NOSYSTEM=1",
                                            "GIT_CONFIG_GLOBAL=/dev/null",
                                            "GIT_ATTR_NOSYSTEM=1",
                                            "GIT_OPTIONAL_LOCKS=0",
                                            "GIT_NO_LAZY_FETCH=1",
                                            "GIT_TERMINAL_PROMPT=0",
                                            "GIT_ALLOW_PROTOCOL=none"};

// Filters are programs that git runs over files that look changed (gitattributes(5)). They have any name, so their
// names are asked for, and each is given an empty command, which means none. None: it cannot be known.
std::optional<std::vector<std::string>> without_filters(const std::string& tree) {
  std::vector<std::string> command = quiet_git(tree);
  command.insert(command.end(), {"config", "--name-only", "--null", "--list"});
  const Result<std::string> names = output_of_command(command, kEnvironment, kLimits);
  if (!names) {
    return std::nullopt;
  }
  std::set<std::string> filters;
  for (size_t start = 0; start < names->size();) {
    const size_t end = std::min(names->find('\0', start), names->size());
    const std::string name = names->substr(start, end - start);
    const size_t last = name.rfind('.');
    if (name.starts_with("filter.") && last > std::string_view("filter.").size()) {
      filters.insert(name.substr(0, last));
    }
    start = end + 1;
  }
  std::vector<std::string> options;
  for (const std::string& filter : filters) {
    if (filter.find('=') != std::string::npos) {
      return std::nullopt;  // "-c" would cut it there
    }
    for (const char* setting : {".clean=", ".smudge=", ".process=", ".required=false"}) {
      options.insert(options.end(), {"-c", filter + setting});
    }
  }
  return options;
}

std::optional<std::string> ask(const std::string& tree) {
  const std::optional<std::vector<std::string>> options = without_filters(tree);
  if (!options) {
    return std::nullopt;
  }
  std::vector<std::string> command = quiet_git(tree);
  command.insert(command.end(), options->begin(), options->end());
  command.insert(command.end(), {"describe", "--tags", "--always", "--dirty"});
  const Result<std::string> words = output_of_command(command, kEnvironment, kLimits);
  if (!words) {
    return std::nullopt;
  }
  const std::string word = words->substr(0, words->find('\n'));
  return word.empty() || word.size() > kLongestWord ? std::nullopt : std::optional(word);
}

}  // namespace

std::string GitTrees::tree_of(const std::string& path) {
  std::error_code ignored;
  const fs::path folder = fs::path(path).parent_path();
  const auto [known, is_new] = tree_of_folder_.try_emplace(folder.string());
  if (is_new) {
    for (fs::path here = folder; here.has_relative_path(); here = here.parent_path()) {
      if (fs::exists(here / ".git", ignored)) {
        known->second = here.string();
        break;
      }
    }
  }
  return known->second;
}

std::optional<std::string> GitTrees::describe(const std::string& tree) {
  const auto known = described_.find(tree);
  if (known != described_.end()) {
    return known->second;
  }
  if (described_.size() == kMostTrees) {
    return std::nullopt;
  }
  return described_[tree] = ask(tree);
}

}  // namespace crashcrawler
