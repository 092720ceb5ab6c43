#include "runner/report/register_memory.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "runner/report/stack.h"
#include "runner/report/words.h"

namespace crashcrawler {
namespace {

constexpr uint64_t kKeptOfStack = 64;  // bytes from where a register points on

std::vector<std::pair<const char*, uint64_t>> registers_of(const CrashReport& report) {
  const ThreadBacktrace* thread = crashed_thread(report.backtrace);
  return thread ? register_values(thread->registers, report.raw.architecture)
                : std::vector<std::pair<const char*, uint64_t>>();
}

bool holds(const MemoryRange& range, uint64_t address) {
  return address >= range.address && address < range.end();
}

}  // namespace

void keep_memory_of_registers(CrashReport& report) {
  std::vector<uint64_t> targets;
  for (const auto& [name, value] : registers_of(report)) {
    targets.push_back(value);
  }
  std::ranges::sort(targets);
  std::vector<MemoryRange> added;
  for (const RawThread& thread : report.raw.threads) {
    for (const MemoryRange& stack : thread.stack) {
      for (const uint64_t target : targets) {
        const auto is_there = [&](const MemoryRange& range) { return holds(range, target); };
        if (!holds(stack, target) || std::ranges::any_of(report.raw.memory, is_there)) {
          continue;
        }
        const auto joined = std::ranges::find_if(added, is_there);
        const uint64_t start = joined == added.end() ? target : joined->address;
        MemoryRange piece{start,
                          stack.bytes.substr(start - stack.address, target + kKeptOfStack - start)};
        if (joined == added.end()) {
          added.push_back(std::move(piece));
        } else if (piece.end() > joined->end()) {
          *joined = std::move(piece);
        }
      }
    }
  }
  std::ranges::move(added, std::back_inserter(report.raw.memory));
  std::ranges::sort(report.raw.memory, {}, &MemoryRange::address);
}

std::vector<PointedMemory> pointed_memory(const CrashReport& report) {
  std::vector<PointedMemory> all;
  const auto registers = registers_of(report);
  for (const MemoryRange& memory : report.raw.memory) {
    PointedMemory pointed{&memory, {}};
    for (const auto& [name, value] : registers) {
      if (holds(memory, value)) {
        pointed.registers.push_back(name);
      }
    }
    if (!pointed.registers.empty()) {
      all.push_back(std::move(pointed));
    }
  }
  return all;
}

std::string_view bytes_at(const RawCrash& raw, uint64_t address, size_t most) {
  for (const MemoryRange& range : raw.memory) {
    if (holds(range, address)) {
      return std::string_view(range.bytes).substr(address - range.address, most);
    }
  }
  return {};
}

}  // namespace crashcrawler
