#include "runner/base/source_text.h"

#include <algorithm>
#include <cctype>

#include "runner/base/regular_file.h"

namespace crashcrawler {
namespace {

constexpr size_t kLargestFile = size_t{4} << 20;
constexpr size_t kMostFiles = 512;
constexpr int kLinesUp = 500, kLinesOfCall = 500;
constexpr size_t kLargestCall = 65536;

bool is_word(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_';
}

bool is_blank(char c) {
  return std::isspace(static_cast<unsigned char>(c)) != 0;
}

std::string trimmed(std::string_view text) {
  while (!text.empty() && is_blank(text.front())) {
    text.remove_prefix(1);
  }
  while (!text.empty() && is_blank(text.back())) {
    text.remove_suffix(1);
  }
  return std::string(text);
}

// Behind a string or character literal, or a comment, that begins at `at`; `at` itself when none does.
size_t behind_opaque(std::string_view text, size_t at) {
  const std::string_view rest = text.substr(at);
  if (rest.starts_with("//") || rest.starts_with("/*")) {
    const std::string_view end = rest[1] == '/' ? "\n" : "*/";
    const size_t found = rest.find(end, 2);
    return found == std::string_view::npos ? text.size() : at + found + end.size();
  }
  if (rest.starts_with("R\"") && (at == 0 || !is_word(text[at - 1]))) {
    const size_t open = rest.find('(');
    if (open != std::string_view::npos) {
      const std::string end = ")" + std::string(rest.substr(2, open - 2)) + "\"";
      const size_t found = rest.find(end, open);
      return found == std::string_view::npos ? text.size() : at + found + end.size();
    }
  }
  const char quote = rest.front();
  // 1'000 is a number
  const bool separator = quote == '\'' && at > 0 && is_word(text[at - 1]);
  if ((quote != '"' && quote != '\'') || separator) {
    return at;
  }
  for (size_t i = at + 1; i < text.size(); ++i) {
    if (text[i] == '\\') {
      ++i;
    } else if (text[i] == quote || text[i] == '\n') {
      return i + 1;
    }
  }
  return text.size();
}

// Reads the arguments of a call whose parenthesis opens at text[open]. False: it does not close.
bool read_arguments(std::string_view text, size_t open, MacroCall& call) {
  size_t depth = 0, begin = open + 1;
  for (size_t i = open; i < text.size();) {
    if (const size_t behind = behind_opaque(text, i); behind != i) {
      i = behind;
      continue;
    }
    const char c = text[i];
    depth += c == '(' || c == '{' || c == '[' ? 1 : 0;
    if (c == ')' || c == '}' || c == ']') {
      depth -= 1;
    }
    if (depth == 0 || (depth == 1 && c == ',')) {
      call.arguments.push_back(trimmed(text.substr(begin, i - begin)));
      begin = i + 1;
    }
    if (depth == 0) {
      call.last_line =
          call.first_line +
          static_cast<int>(std::count(text.begin(), text.begin() + static_cast<long>(i), '\n'));
      return true;
    }
    ++i;
  }
  return false;
}

// The last wanted call that begins in this line.
MacroCall call_in_line(const std::vector<std::string>& lines, size_t index, IsWanted is_wanted) {
  const std::string& line = lines[index];
  MacroCall last;
  for (size_t i = 0; i < line.size();) {
    if (const size_t behind = behind_opaque(line, i); behind != i) {
      i = behind;
      continue;
    }
    size_t end = i;
    while (end < line.size() && is_word(line[end])) {
      ++end;
    }
    const size_t open = line.find_first_not_of(" \t", end);
    if (end > i && open != std::string::npos && line[open] == '(' &&
        is_wanted(std::string_view(line).substr(i, end - i))) {
      MacroCall call;
      call.name = line.substr(i, end - i);
      call.first_line = static_cast<int>(index) + 1;
      std::string text = line;
      for (size_t next = index + 1;
           next < lines.size() && next < index + kLinesOfCall && text.size() < kLargestCall;
           ++next) {
        text += "\n" + lines[next];
      }
      if (read_arguments(text, open, call)) {
        last = std::move(call);
      }
    }
    i = end > i ? end : i + 1;
  }
  return last;
}

}  // namespace

const std::vector<std::string>& SourceTexts::lines(const std::string& path) {
  static const std::vector<std::string> kNone;
  const auto known = files_.find(path);
  if (known != files_.end()) {
    return known->second;
  }
  if (path.empty() || path.front() != '/' || files_.size() >= kMostFiles) {
    return kNone;
  }
  std::vector<std::string>& lines = files_[path];
  const std::optional<RegularFile> file = read_regular_file(path, kLargestFile);
  const std::string text = file ? file->bytes : "";
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    lines.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return lines;
}

MacroCall macro_call_above(const std::vector<std::string>& lines, int line, IsWanted is_wanted,
                           bool enclosing) {
  if (line < 1 || static_cast<size_t>(line) > lines.size()) {
    return {};
  }
  for (int at = line; at >= 1 && at > line - kLinesUp; --at) {
    MacroCall call = call_in_line(lines, static_cast<size_t>(at) - 1, is_wanted);
    if (!call.name.empty() && (!enclosing || call.last_line >= line)) {
      return call;
    }
  }
  return {};
}

std::string literal_text(std::string_view argument) {
  std::string text;
  for (size_t i = 0; i < argument.size();) {
    if (is_blank(argument[i])) {
      ++i;
      continue;
    }
    const size_t end = behind_opaque(argument, i);
    const std::string_view literal = argument.substr(i, end - i);
    if (literal.starts_with("R\"")) {
      const size_t open = literal.find('(');
      const size_t close = literal.rfind(')');
      if (close == std::string_view::npos || close < open) {
        return "";
      }
      text += literal.substr(open + 1, close - open - 1);
    } else if (literal.size() >= 2 && literal.front() == '"') {
      for (size_t k = 1; k + 1 < literal.size(); ++k) {
        k += literal[k] == '\\' ? 1 : 0;
        text += literal[k];
      }
    } else if (!literal.starts_with("/")) {
      return "";
    }
    i = end;
  }
  return text;
}

}  // namespace crashcrawler
