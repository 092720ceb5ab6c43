// The name of the file comes from debug information, which may say anything: opened is what a regular file is, without
// waiting for a FIFO, and never more of it than the limit.
#include "runner/unwind/source_lines.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string_view>

#include "runner/base/unique_fd.h"

namespace crashcrawler {

namespace {

constexpr off_t kLargestFile = off_t{4} << 20;
constexpr size_t kLongestLine = 240;  // bytes
constexpr int kNeighbours = 1;        // lines on each side

struct ReadFile {
  std::string bytes;
  int64_t modified_ns = 0;
};

std::optional<ReadFile> read_source(const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  struct stat status;
  if (!fd || ::fstat(fd.get(), &status) != 0 || !S_ISREG(status.st_mode) ||
      status.st_size >= kLargestFile) {
    return std::nullopt;
  }
  ReadFile file;
  file.modified_ns = status.st_mtim.tv_sec * int64_t{1'000'000'000} + status.st_mtim.tv_nsec;
  file.bytes.resize(static_cast<size_t>(status.st_size));
  size_t size = 0;
  while (size < file.bytes.size()) {
    const ssize_t got = ::read(fd.get(), file.bytes.data() + size, file.bytes.size() - size);
    if (got <= 0) {
      break;
    }
    size += static_cast<size_t>(got);
  }
  file.bytes.resize(size);
  return file;
}

std::shared_ptr<const SourceText> excerpt(std::string_view text, int line) {
  const auto result = std::make_shared<SourceText>();
  result->first_line = line > kNeighbours ? line - kNeighbours : 1;
  for (int number = 1; !text.empty() && number <= line + kNeighbours; ++number) {
    const size_t end = text.find('\n');
    if (number >= result->first_line) {
      std::string_view shown = text.substr(0, end);
      if (shown.ends_with('\r')) {
        shown.remove_suffix(1);
      }
      result->lines.emplace_back(shown.substr(0, kLongestLine));
    }
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
  }
  const bool has_line = result->first_line + static_cast<int>(result->lines.size()) > line;
  return has_line ? result : nullptr;
}

}  // namespace

std::shared_ptr<const SourceText> SourceFiles::around(const SourceLocation& location,
                                                      int64_t program_modified_ns) {
  if (location.line <= 0 || !location.file.starts_with('/')) {
    return nullptr;
  }
  const auto [known, is_new] =
      known_.try_emplace({location.file, location.line, program_modified_ns}, nullptr);
  if (is_new) {
    if (const std::optional<ReadFile> file = read_source(location.file)) {
      if (const auto text = excerpt(file->bytes, location.line)) {
        auto dated = std::make_shared<SourceText>(*text);
        dated->newer_than_program =
            program_modified_ns != 0 && file->modified_ns > program_modified_ns;
        known->second = std::move(dated);
      }
    }
  }
  return known->second;
}

}  // namespace crashcrawler
