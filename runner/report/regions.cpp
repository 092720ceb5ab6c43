#include "runner/report/regions.h"

#include <elf.h>
#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "runner/report/text.h"
#include "runner/report/words.h"

namespace crashcrawler {
namespace {

constexpr uint64_t kPage = 4096;
constexpr uint64_t kNear = uint64_t{64} << 10;
constexpr size_t kLongestName = 120;

bool is_accessible(const Mapping& mapping) {
  return mapping.readable || mapping.writable || mapping.executable;
}

bool holds(const Mapping& mapping, uint64_t address) {
  return address >= mapping.start && address < mapping.end;
}

const Mapping* mapping_at(const RawCrash& raw, uint64_t address) {
  const auto found =
      std::ranges::find_if(raw.mappings, [&](const Mapping& m) { return holds(m, address); });
  return found == raw.mappings.end() ? nullptr : &*found;
}

// "a 4096-byte", "an 8192-byte"
std::string sized(uint64_t bytes) {
  uint64_t spoken = bytes;
  while (spoken >= 1000) {
    spoken /= 1000;
  }
  const bool vowel = spoken == 11 || spoken == 18 || std::to_string(spoken).front() == '8';
  return fmt::format("{} {}-byte", vowel ? "an" : "a", bytes);
}

// "the stack of thread 12 (worker)"; empty: no thread's.
std::string stack_in_words(const CrashReport& report, const Mapping& mapping) {
  for (const ThreadBacktrace& thread : report.backtrace.threads) {
    if (mapping.writable && holds(mapping, thread.registers.rsp)) {
      return fmt::format("the stack of thread {}", thread.tid) +
             (thread.name.empty() ? "" : " (" + brief(thread.name, kLongestName) + ")");
    }
  }
  return "";
}

// Of memory that belongs to no file.
std::string memory_in_words(const CrashReport& report, const Mapping& mapping) {
  const RawCrash& raw = report.raw;
  for (const auto& [type, value] : raw.auxv) {
    if (type == AT_SYSINFO_EHDR && holds(mapping, value)) {
      return "[vdso]";
    }
  }
  const uint64_t size = mapping.end - mapping.start;
  if (raw.heap_start < raw.heap_end && mapping.start < raw.heap_end &&
      mapping.end > raw.heap_start) {
    return sized(size) + " heap mapping";
  }
  const std::string stack = stack_in_words(report, mapping);
  return stack.empty() ? sized(size) + " anonymous mapping" : stack;
}

const char* content_in_words(const Mapping& mapping) {
  return mapping.executable ? "code" : mapping.writable ? "data" : "read-only data";
}

std::string file_in_words(const Mapping& mapping) {
  return brief(base_name(mapping.path), kLongestName);
}

// Of memory without rights: it ends where a stack begins.
std::string guard_in_words(const CrashReport& report, const Mapping& mapping) {
  if (!mapping.path.empty()) {
    return "";
  }
  const Mapping* above = mapping_at(report.raw, mapping.end);
  const std::string stack = above ? stack_in_words(report, *above) : "";
  const char* const what = mapping.end - mapping.start == kPage ? "page" : "pages";
  return stack.empty() ? "" : fmt::format("the guard {} of {}", what, stack);
}

}  // namespace

std::string region_in_words(const CrashReport& report, uint64_t address) {
  const Mapping* mapping = mapping_at(report.raw, address);
  if (!mapping) {
    return "";
  }
  if (!is_accessible(*mapping)) {
    const std::string guard = guard_in_words(report, *mapping);
    return guard.empty() ? kNoAccess : guard;
  }
  if (mapping->path.empty()) {
    return memory_in_words(report, *mapping);
  }
  uint64_t offset = address - mapping->start + mapping->file_offset;
  for (const Module& module : report.backtrace.modules) {
    if (module.path == mapping->path && address >= module.base && address < module.end) {
      offset = address - module.load_bias;
    }
  }
  return file_in_words(*mapping) + "+" + hex(offset) + " (" + content_in_words(*mapping) + ")";
}

std::string neighbour_in_words(const CrashReport& report, uint64_t address) {
  const Mapping* below = nullptr;
  const Mapping* above = nullptr;
  for (const Mapping& mapping : report.raw.mappings) {
    if (!is_accessible(mapping)) {
      continue;
    }
    if (holds(mapping, address)) {
      return "";
    }
    if (mapping.end <= address) {
      below = &mapping;
    } else if (!above) {
      above = &mapping;
    }
  }
  const uint64_t past = below ? address - below->end : kNear;
  const uint64_t before = above ? above->start - address : kNear;
  if (std::min(past, before) >= kNear) {
    return "";
  }
  const Mapping& nearest = past <= before ? *below : *above;
  const std::string name = nearest.path.empty()
                               ? memory_in_words(report, nearest)
                               : file_in_words(nearest) + "'s " + content_in_words(nearest);
  if (past == 0) {
    return "right past " + name;
  }
  return counted(std::min(past, before), "byte", "bytes") +
         (past <= before ? " past " : " before ") + name;
}

}  // namespace crashcrawler
