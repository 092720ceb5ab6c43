// Lines of source files that debug information names.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace crashcrawler {

// Reads each file once. What is no regular file, or larger than a source file is, has no lines.
class SourceTexts {
 public:
  // All lines of the file, the first at index 0; empty when it cannot be read.
  const std::vector<std::string>& lines(const std::string& path);

 private:
  std::map<std::string, std::vector<std::string>> files_;
};

// A macro with its arguments, as it stands in the source.
struct MacroCall {
  std::string name;
  int first_line = 0, last_line = 0;   // from 1
  std::vector<std::string> arguments;  // without the blanks around them
};

// Tells whether a macro of this name is looked for.
using IsWanted = bool (*)(std::string_view name);

// The nearest call at or above `line` of a wanted macro, at most 500 lines up. `enclosing`: only one whose parentheses
// reach to `line`. Its name is empty when there is none.
MacroCall macro_call_above(const std::vector<std::string>& lines, int line, IsWanted is_wanted,
                           bool enclosing);

// The text of a C++ string literal, or of several that follow each other; empty: it is none.
std::string literal_text(std::string_view argument);

}  // namespace crashcrawler
