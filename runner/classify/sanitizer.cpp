// That a sanitizer ended a process is seen from its stack: the system call, or the signal, was made by the runtime
// (__sanitizer::Die and what it calls). What it found is seen from its words, as far as they are still in memory (the
// collector looks for them, see bpf/sanitizer.bpf.h):
//
//   AddressSanitizer keeps its whole report. The others leave what they printed last in the dead stack below the stack
//   pointer: MemorySanitizer and LeakSanitizer the line "SUMMARY: ...", UndefinedBehaviorSanitizer the line "...: runtime
//   error: ...". ThreadSanitizer ends the process long after its last word; nothing of it is left.
//
// The names of the tools and the shape of those lines are compiler-rt's (sanitizer_common/sanitizer_symbolizer_report.cpp,
// ubsan/ubsan_diag.cpp), which GCC ships too. What would break it: a runtime that prints otherwise. Then the finding has
// no kind, but is still one.
#include "runner/classify/sanitizer.h"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <utility>

#include "runner/classify/dead_stack.h"
#include "runner/classify/machinery.h"

namespace crashcrawler {
namespace {

struct Tool {
  std::string_view name;
  std::string_view prefix;   // of its functions, without the underscores before it
  std::string_view library;  // in the file name of its runtime
};

constexpr std::array<Tool, 5> kTools = {{{"AddressSanitizer", "asan", "asan"},
                                         {"ThreadSanitizer", "tsan", "tsan"},
                                         {"MemorySanitizer", "msan", "msan"},
                                         {"LeakSanitizer", "lsan", "lsan"},
                                         {"UndefinedBehaviorSanitizer", "ubsan", "ubsan"}}};

std::string_view without_underscores(std::string_view name) {
  return name.substr(std::min(name.find_first_not_of('_'), name.size()));
}

// "libasan.so.8", "libclang_rt.asan-x86_64.so"
bool is_runtime_library(std::string_view path, std::string_view tool) {
  const std::string_view name = path.substr(path.rfind('/') + 1);
  return name.starts_with("lib" + std::string(tool) + ".so") ||
         name.starts_with("libclang_rt." + std::string(tool));
}

const Tool* tool_by_name(const Frame& frame) {
  const std::string_view function = without_underscores(frame.function);
  const auto named = [&](const Tool& tool) {
    return frame.function.starts_with("__") && function.starts_with(tool.prefix) &&
           function.size() > tool.prefix.size() &&
           (function[tool.prefix.size()] == '_' || function[tool.prefix.size()] == ':');
  };
  const auto* found = std::ranges::find_if(kTools, named);
  return found == kTools.end() ? nullptr : found;
}

const Tool* tool_by_place(const Frame& frame, const std::vector<Module>& modules) {
  const auto placed = [&](const Tool& tool) {
    return frame.module && *frame.module < modules.size() &&
           is_runtime_library(modules[*frame.module].path, tool.library);
  };
  const auto* found = std::ranges::find_if(kTools, placed);
  return found == kTools.end() ? nullptr : found;
}

// LeakSanitizer's functions, by name, are in AddressSanitizer's library too: the name says more.
const Tool* tool_of(const Frame& frame, const std::vector<Module>& modules) {
  const Tool* named = tool_by_name(frame);
  return named ? named : tool_by_place(frame, modules);
}

bool is_runtime(const Frame& frame, const std::vector<Module>& modules) {
  return tool_of(frame, modules) || frame.function.starts_with("__sanitizer::") ||
         frame.function.starts_with("__interception::") ||
         frame.function.starts_with("__interceptor_");
}

// "heap-use-after-free" of "SUMMARY: AddressSanitizer: heap-use-after-free file.c:2 in use", "data race" of
// "SUMMARY: ThreadSanitizer: data race file.c:2 in f".
std::string kind_in_summary(std::string_view line) {
  std::string_view rest = line.substr(line.find("Sanitizer: ") + 11);
  if (rest.find(" leaked in ") != std::string_view::npos) {
    return "memory leak";
  }
  std::string kind;
  while (!rest.empty()) {
    const std::string_view word = rest.substr(0, rest.find(' '));
    if (word == "in" || word == "on" || word.find_first_of("/:(.") != std::string_view::npos) {
      break;
    }
    kind += (kind.empty() ? "" : " ") + std::string(word);
    rest.remove_prefix(std::min(word.size() + 1, rest.size()));
  }
  return kind;
}

// "signed integer overflow" of "file.c:2:3: runtime error: signed integer overflow: 1 + 2 cannot ..."
std::string kind_in_runtime_error(std::string_view line) {
  constexpr std::string_view kMark = "runtime error: ";
  const std::string_view rest = line.substr(line.find(kMark) + kMark.size());
  return std::string(rest.substr(0, rest.find_first_of(":,")));
}

// "add overflow" of "__ubsan_handle_add_overflow_abort", which says nearly as much as the words that were printed.
std::string kind_in_handler(std::string_view function) {
  constexpr std::string_view kMark = "__ubsan_handle_";
  const size_t at = function.find(kMark);
  if (at == std::string_view::npos) {
    return "";
  }
  std::string kind(function.substr(at + kMark.size()));
  for (const std::string_view suffix : {"_abort", "_v1"}) {
    if (kind.ends_with(suffix)) {
      kind.resize(kind.size() - suffix.size());
    }
  }
  std::ranges::replace(kind, '_', ' ');
  return kind;
}

struct Words {
  std::string kind, text;
};

// From the end: in a dead stack the last message is the one that lies nearest to it, and a report ends in its summary.
Words words_in(std::string_view memory) {
  Words found;
  if (const size_t summary = memory.rfind("SUMMARY: "); summary != std::string_view::npos) {
    const std::string_view line = line_at(memory, summary);
    if (line.find("Sanitizer: ") != std::string_view::npos) {
      found = {kind_in_summary(line), std::string(line)};
    }
  }
  if (const size_t error = memory.rfind("runtime error: "); error != std::string_view::npos) {
    const std::string_view line = line_at(memory, error);
    found = {kind_in_runtime_error(line), std::string(line)};  // the summary of UBSan says less
  }
  return found;
}

}  // namespace

size_t runtime_frames(const ThreadBacktrace& thread, const std::vector<Module>& modules) {
  size_t count = 0;
  for (size_t i = 0; i < thread.frames.size(); ++i) {
    if (is_runtime(thread.frames[i], modules)) {
      count = i + 1;
    } else if (!is_raising_machinery(thread.frames[i].function)) {
      break;
    }
  }
  return count;
}

std::optional<SanitizerFinding> find_sanitizer(const RawCrash& crash, const Backtrace& backtrace) {
  if (backtrace.threads.empty()) {
    return std::nullopt;
  }
  const ThreadBacktrace& thread = backtrace.threads.front();
  const size_t runtime = runtime_frames(thread, backtrace.modules);
  if (runtime == 0) {
    return std::nullopt;
  }
  SanitizerFinding finding;
  const Tool* leaks = &kTools[3];
  for (size_t i = 0; i < runtime; ++i) {
    if (const Tool* tool = tool_of(thread.frames[i], backtrace.modules)) {
      finding.tool = tool->name;
      finding.kind = tool == leaks ? "memory leak"  // it looks for nothing else
                                   : kind_in_handler(thread.frames[i].function);
      if (tool == leaks) {
        break;
      }
    }
  }
  if (finding.tool.empty()) {
    finding.tool = "a sanitizer";
  }
  Words words = words_in(crash.report_text.empty() ? dead_stack(crash) : crash.report_text);
  if (!words.kind.empty()) {
    finding.kind = std::move(words.kind);
  }
  finding.text = crash.report_text.empty() ? std::move(words.text) : crash.report_text;
  for (const Tool& tool : kTools) {
    if (finding.text.find(std::string(tool.name) + ":") != std::string::npos) {
      finding.tool = tool.name;
    }
  }
  return finding;
}

}  // namespace crashcrawler
