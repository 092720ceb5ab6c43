// Whole files in and out. Errors carry the path and the text of errno.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>

#include "runner/base/result.h"

namespace crashcrawler {

// The bytes of `path`, at most `limit` of them (a longer file is an error); works for /proc files
// of unknown size.
Result<std::string> read_file(const std::string& path, size_t limit = 64u << 20);

// All of `bytes` to an open file; `path` is for the error.
Result<void> write_all(int fd, std::string_view bytes, const std::string& path);

// One write(2) to a file that exists, as the files of cgroupfs want it (cgroups(7)).
Result<void> write_control_file(const std::string& path, std::string_view text);

// Writes `path` so that a reader sees the old content or all of the new one, never a part: a
// temporary file in the same folder, then rename(2). The temporary file is removed on failure.
Result<void> write_file_atomically(const std::string& path, std::string_view bytes,
                                   mode_t mode = 0644);

}  // namespace crashcrawler
