#include "runner/capture/record_values.h"

#include <utility>

#include "runner/base/signal_names.h"

namespace crashcrawler {

uint32_t device_major(uint32_t device) {
  return device >> 20;
}

uint32_t device_minor(uint32_t device) {
  return device & 0xfffff;
}

std::chrono::system_clock::time_point wall_time(uint64_t boot_ns,
                                                std::chrono::nanoseconds boot_to_wall) {
  const auto ns = static_cast<int64_t>(boot_ns + static_cast<uint64_t>(boot_to_wall.count()));
  return std::chrono::system_clock::time_point(std::chrono::nanoseconds(ns));
}

RawSignal signal_of(uint32_t number, const __u8 (&siginfo)[CC_SIGINFO_SIZE]) {
  RawSignal signal;
  signal.number = static_cast<int>(number);
  std::memcpy(&signal.error, siginfo + 4, 4);
  std::memcpy(&signal.code, siginfo + 8, 4);
  if (has_sender(signal.number, signal.code)) {
    std::memcpy(&signal.sender_pid, siginfo + 16, 4);
    std::memcpy(&signal.sender_uid, siginfo + 20, 4);
  } else {
    std::memcpy(&signal.fault_address, siginfo + 16, 8);
  }
  return signal;
}

std::string path_of(const cc_path& path, size_t available) {
  std::string_view bytes(path.bytes, std::min<size_t>({path.length, available, sizeof path.bytes}));
  std::string joined;
  while (!bytes.empty()) {
    const std::string_view name = bytes.substr(0, bytes.find('\0'));
    joined.insert(0, "/" + std::string(name));
    bytes.remove_prefix(std::min(name.size() + 1, bytes.size()));
  }
  return joined.empty() ? "/" : joined;
}

std::vector<std::string> split_at_nul(std::string_view block) {
  std::vector<std::string> strings;
  while (!block.empty()) {
    const size_t length = std::min(block.find('\0'), block.size());
    strings.emplace_back(block.substr(0, length));
    block.remove_prefix(std::min(length + 1, block.size()));
  }
  return strings;
}

void join(std::vector<MemoryRange>& ranges) {
  std::ranges::stable_sort(ranges, {}, &MemoryRange::address);
  std::vector<MemoryRange> joined;
  for (MemoryRange& range : ranges) {
    if (joined.empty() || joined.back().end() < range.address) {
      joined.push_back(std::move(range));
    } else if (range.end() >
               joined.back().end()) {  // touches, or (two snapshots of one stack) overlaps
      joined.back().bytes += range.bytes.substr(joined.back().end() - range.address);
    }
  }
  ranges = std::move(joined);
}

}  // namespace crashcrawler
