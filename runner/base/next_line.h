#pragma once

#include <string_view>

namespace crashcrawler {

// Takes the first line off `text` and gives it without its end, "\n" or "\r\n".
inline std::string_view next_line(std::string_view& text) {
  const size_t end = text.find('\n');
  std::string_view line = text.substr(0, end);
  text.remove_prefix(end == text.npos ? text.size() : end + 1);
  if (line.ends_with('\r')) {
    line.remove_suffix(1);
  }
  return line;
}

}  // namespace crashcrawler
