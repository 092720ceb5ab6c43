#include "runner/unwind/source_lines.h"

#include <string_view>

#include "runner/base/regular_file.h"

namespace crashcrawler {

namespace {

constexpr size_t kLargestFile = (size_t{4} << 20) - 1;
constexpr size_t kLongestLine = 240;  // bytes
constexpr int kNeighbours = 1;        // lines on each side

std::shared_ptr<const SourceText> excerpt(std::string_view text, int line) {
  const auto result = std::make_shared<SourceText>();
  result->first_line = line > kNeighbours ? line - kNeighbours : 1;
  // `line` is a file's word and may be the largest int there is: nothing is added to it.
  for (int number = 1; !text.empty() && number - kNeighbours <= line; ++number) {
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
    if (const std::optional<RegularFile> file = read_regular_file(location.file, kLargestFile)) {
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
