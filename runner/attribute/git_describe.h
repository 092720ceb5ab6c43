// What git says of the work tree that a file lies in.
#pragma once

#include <map>
#include <optional>
#include <string>

namespace crashcrawler {

class GitTrees {
 public:
  // The folder above `path` that is a git work tree; empty: none.
  std::string tree_of(const std::string& path);

  // `git describe --always --dirty` of the work tree, asked once. None: git is not there, does not take it, or the time
  // is over: the file is not less known for it than without.
  //
  // The tree may be somebody else's, and its configuration names programs (core.fsmonitor, hooks, filters): none of
  // them is run, nothing is written, nothing is fetched.
  std::optional<std::string> describe(const std::string& tree);

 private:
  std::map<std::string, std::string> tree_of_folder_;
  std::map<std::string, std::optional<std::string>> described_;
};

}  // namespace crashcrawler
