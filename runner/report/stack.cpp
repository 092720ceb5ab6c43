// Which lines of a stack matter to the reader, and how each is written.
//
// The top of an abort is five functions of the C library, and often of libstdc++ headers compiled
// into the program. The signature has been made without the machinery that raises, so the line it
// starts with tells where the stack gets interesting; from there on the program's own code counts.
// Both are preferences: when nothing would remain, what is there is shown.
#include "runner/report/stack.h"

#include <algorithm>
#include <cctype>
#include <string_view>

#include "runner/report/text.h"
#include "runner/report/words.h"

namespace crashcrawler {
namespace {

constexpr size_t kLongestName = 300;
constexpr size_t kLongestCycle = 4;
constexpr size_t kFoldSaves = 3;  // frames

bool is_word(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_';
}

// Whether `name` stands in `text` as a word of its own: "put" in "box<int>::put(int)", not in
// "output()".
bool mentions(std::string_view text, std::string_view name) {
  for (size_t at = text.find(name); at != std::string_view::npos; at = text.find(name, at + 1)) {
    const size_t end = at + name.size();
    const bool starts = at == 0 || !is_word(text[at - 1]) || !is_word(name.front());
    if (starts && (end == text.size() || !is_word(text[end]) || !is_word(name.back()))) {
      return true;
    }
  }
  return false;
}

// The index of the line with which the signature begins; 0 when it is not found again.
size_t start_of_interest(const std::vector<StackLine>& lines, const Signature& signature) {
  if (signature.frames.empty()) {
    return 0;
  }
  // normalised names have lost their template arguments, the last component is what both spellings
  // share
  std::string_view name = signature.frames.front();
  if (const size_t colons = name.rfind("::"); colons != std::string_view::npos) {
    name.remove_prefix(colons + 2);
  }
  for (size_t i = 0; i < lines.size() && !name.empty(); ++i) {
    if (mentions(lines[i].function(), name)) {
      return i;
    }
  }
  return 0;
}

bool is_system_source(const std::string& file) {
  return file.starts_with("/usr/include/") || file.starts_with("/usr/lib/") ||
         file.starts_with("/usr/local/include/");
}

const Module* module_of(const StackLine& line, const Backtrace& backtrace) {
  const std::optional<size_t>& index = line.frame->module;
  return index && *index < backtrace.modules.size() ? &backtrace.modules[*index] : nullptr;
}

std::string module_and_offset(const StackLine& line, const Backtrace& backtrace) {
  const Module* module = module_of(line, backtrace);
  return module
             ? brief(base_name(module->path), kLongestName) + "+" + hex(line.frame->module_offset)
             : "";
}

// The number of frames from `start` on that repeat the `length` ones there, themselves not counted.
size_t repeats(std::span<const Frame> frames, size_t start, size_t length) {
  size_t end = start + length;
  while (end < frames.size() &&
         frames[end].instruction_addr == frames[end - length].instruction_addr) {
    ++end;
  }
  return end > start + length ? end - start - length : 0;
}

}  // namespace

const std::string& StackLine::function() const {
  if (inlined) {
    return inlined->function.empty() ? inlined->raw_function : inlined->function;
  }
  return frame->function.empty() ? frame->raw_function : frame->function;
}

const ThreadBacktrace* crashed_thread(const Backtrace& backtrace) {
  const auto found = std::find_if(backtrace.threads.begin(), backtrace.threads.end(),
                                  [](const ThreadBacktrace& thread) { return thread.crashed; });
  if (found != backtrace.threads.end()) {
    return &*found;
  }
  return backtrace.threads.empty() ? nullptr : &backtrace.threads.front();
}

std::vector<StackLine> stack_lines(const ThreadBacktrace& thread) {
  std::vector<StackLine> lines;
  for (size_t i = 0; i < thread.frames.size(); ++i) {
    for (const InlinedFunction& inlined : thread.frames[i].inlines) {
      lines.push_back({i, &thread.frames[i], &inlined});
    }
    lines.push_back({i, &thread.frames[i], nullptr});
  }
  return lines;
}

std::vector<StackLine> own_lines(const CrashReport& report) {
  const ThreadBacktrace* thread = crashed_thread(report.backtrace);
  if (!thread) {
    return {};
  }
  const std::vector<StackLine> lines = stack_lines(*thread);
  std::vector<StackLine> own, compiled_in;
  for (size_t i = start_of_interest(lines, report.signature); i < lines.size(); ++i) {
    if (lines[i].frame->in_app) {
      (is_system_source(lines[i].location().file) ? compiled_in : own).push_back(lines[i]);
    }
  }
  return own.empty() ? compiled_in : own;
}

std::optional<StackLine> culprit(const CrashReport& report) {
  if (std::vector<StackLine> own = own_lines(report); !own.empty()) {
    return own.front();
  }
  const ThreadBacktrace* thread = crashed_thread(report.backtrace);
  if (!thread || thread->frames.empty()) {
    return std::nullopt;
  }
  const std::vector<StackLine> lines = stack_lines(*thread);
  return lines[start_of_interest(lines, report.signature)];
}

std::string function_text(const StackLine& line, const Backtrace& backtrace) {
  if (!line.function().empty()) {
    return brief(line.function(), kLongestName);
  }
  const std::string place = module_and_offset(line, backtrace);
  return place.empty() ? hex(line.frame->instruction_addr) + " (in no module)" : place;
}

std::string file_and_line(const SourceLocation& location, const std::string& directory) {
  if (location.file.empty()) {
    return "";
  }
  const std::string file = brief(path_from(location.file, directory), kLongestName);
  return location.line > 0 ? file + ":" + std::to_string(location.line) : file;
}

std::string place_text(const StackLine& line, const Backtrace& backtrace,
                       const std::string& directory) {
  const SourceLocation& location = line.location();
  if (std::string place = file_and_line(location, directory); !place.empty()) {
    const bool column_known = location.line > 0 && location.column > 0;
    return place + (column_known ? ":" + std::to_string(location.column) : "");
  }
  return line.function().empty() ? "" : module_and_offset(line, backtrace);
}

std::vector<Fold> folded(std::span<const Frame> frames) {
  std::vector<Fold> folds;
  for (size_t i = 0; i < frames.size();) {
    Fold fold{i, 0, 0};
    for (size_t length = 1; length <= kLongestCycle && fold.length == 0; ++length) {
      const size_t more = repeats(frames, i, length);
      if (more >= std::max(kFoldSaves, length)) {
        fold = {i, length, more};
      }
    }
    folds.push_back(fold);
    i += fold.length == 0 ? 1 : fold.length + fold.skipped;
  }
  return folds;
}

}  // namespace crashcrawler
