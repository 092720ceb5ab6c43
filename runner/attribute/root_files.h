// Reading below the root directory of a dead process, as that process would have: a link in there, absolute or with
// "..", never leads out of it (openat2(2), RESOLVE_IN_ROOT), and nothing in there is believed to be small.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "runner/base/result.h"
#include "runner/base/unique_fd.h"

namespace crashcrawler {

class RootFiles {
 public:
  // `root`: an open directory that stays the caller's. `name`: what it is called in errors, "/" or "/srv/chroot".
  RootFiles(int root, std::string name);

  // `path` as a person would look for it.
  std::string name_of(const std::string& path) const { return name_ + path; }

  bool exists(const std::string& path) const;

  // The bytes of a regular file into `buffer`, which keeps its memory from call to call. Error: there is none, it is
  // no regular file, longer than `limit`, or more has been read through this object than one root may cost.
  Result<void> read(const std::string& path, size_t limit, std::string& buffer);

  // Names in a directory, in no order, without "." and "..". Error: there is none, or it has too many.
  Result<std::vector<std::string>> list(const std::string& path) const;

  // Invalid: errno says why.
  UniqueFd open(const std::string& path, int flags) const;

 private:
  int root_;
  std::string name_;  // without a slash at its end
  size_t budget_;     // bytes that may still be read
};

}  // namespace crashcrawler
