#include "runner/report/explanation.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "runner/base/signal_names.h"
#include "runner/report/regions.h"
#include "runner/report/register_memory.h"
#include "runner/report/stack.h"
#include "runner/report/text.h"
#include "runner/report/words.h"

namespace crashcrawler {
namespace {

constexpr size_t kLongestLine = 100;  // characters
constexpr size_t kShownBytes = 32;
constexpr size_t kBytesOfInstruction = 10;  // longer ones push their text aside

// Of the frame that faulted; null: none, or its code is not known.
const Disassembly* faulting_code(const CrashReport& report) {
  const ThreadBacktrace* thread = crashed_thread(report.backtrace);
  return thread && !thread->frames.empty() ? thread->frames.front().disassembly.get() : nullptr;
}

std::string without_tabs(const std::string& line) {
  std::string text;
  for (const char letter : line) {
    text += letter == '\t' ? std::string(4 - text.size() % 4, ' ') : std::string(1, letter);
  }
  return text;
}

std::string quoted(const StackLine& line, const std::string& directory) {
  const SourceLocation& location = line.location();
  const SourceText& source = *location.text;
  std::string text = " " + file_and_line(location, directory) +
                     (source.newer_than_program ? " (the source is newer than the program)" : "") +
                     "\n";
  int64_t number = source.first_line;
  for (const std::string& content : source.lines) {
    const std::string shown = brief(without_tabs(content), kLongestLine);
    text += fmt::format(" {} {:>6}{}{}\n", number == location.line ? "=>" : "  ", number,
                        shown.empty() ? "" : "  ", shown);
    ++number;
  }
  return text;
}

std::string hex_bytes(std::string_view bytes) {
  std::string text;
  for (const char byte : bytes) {
    text += fmt::format("{}{:02x}", text.empty() ? "" : " ", static_cast<unsigned char>(byte));
  }
  return text;
}

// In groups of eight, and as letters.
std::string dump(std::string_view bytes) {
  std::string digits, letters;
  for (size_t i = 0; i < bytes.size(); ++i) {
    const auto byte = static_cast<unsigned char>(bytes[i]);
    digits += fmt::format("{}{:02x}", i > 0 && i % 8 == 0 ? " " : "", byte);
    letters += byte >= 0x20 && byte < 0x7f ? bytes[i] : '.';
  }
  return digits + "  |" + letters + "|";
}

}  // namespace

FaultAccess fault_access(const CrashReport& report) {
  const RawSignal& signal = report.raw.signal;
  const Disassembly* code = faulting_code(report);
  if (!code || !has_fault_address(signal.number, signal.code)) {
    return FaultAccess::unknown;
  }
  std::optional<FaultAccess> found;
  for (const MemoryAccess& access : code->accesses) {
    if (signal.fault_address - access.address >= access.size) {
      continue;
    }
    const FaultAccess one = !access.writes ? FaultAccess::read
                            : access.reads ? FaultAccess::read_and_write
                                           : FaultAccess::write;
    if (found && *found != one) {
      return FaultAccess::unknown;
    }
    found = one;
  }
  return found.value_or(FaultAccess::unknown);
}

std::string source_section(const CrashReport& report, const std::string& directory) {
  const ThreadBacktrace* thread = crashed_thread(report.backtrace);
  if (!thread || thread->frames.empty()) {
    return "";
  }
  std::vector<StackLine> wanted = {stack_lines(*thread).front()};
  if (const std::optional<StackLine> line = culprit(report)) {
    wanted.push_back(*line);
  }
  std::string text;
  const SourceText* shown = nullptr;
  for (const StackLine& line : wanted) {
    const SourceText* source = line.location().text.get();
    if (source && source != shown) {
      text += quoted(line, directory);
      shown = source;
    }
  }
  return text.empty() ? "" : "\nSource\n" + text;
}

std::string instructions_section(const CrashReport& report) {
  const Disassembly* code = faulting_code(report);
  if (!code) {
    return "";
  }
  std::string text = "\nInstructions\n";
  for (const Instruction& instruction : code->instructions) {
    const size_t index = static_cast<size_t>(&instruction - code->instructions.data());
    text += fmt::format(
        " {} {:#014x} {:<{}} {}\n", index == code->current ? "=>" : "  ", instruction.address,
        hex_bytes(instruction.bytes), 3 * kBytesOfInstruction - 1,
        instruction.text.empty() ? "(no instruction)" : brief(instruction.text, kLongestLine));
  }
  return text;
}

std::string memory_section(const CrashReport& report) {
  const ThreadBacktrace* thread = crashed_thread(report.backtrace);
  if (!thread) {
    return "";
  }
  std::string text;
  for (const auto& [name, value] : register_values(thread->registers, report.raw.architecture)) {
    const std::string region = region_in_words(report, value);
    if (region.empty()) {
      continue;
    }
    text += fmt::format(" {:>8} {}\n", name, region);
    const std::string_view bytes = bytes_at(report.raw, value, kShownBytes);
    text += bytes.empty() ? "" : fmt::format("          {}\n", dump(bytes));
  }
  return text.empty() ? "" : "\nWhat registers point to\n" + text;
}

}  // namespace crashcrawler
