// Values as the records of bpf/crash_event.h hold them, made ours. None of them trusts a size that a record claims.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bpf/crash_event.h"
#include "runner/model/raw_crash.h"

namespace crashcrawler {

// The record as its struct, the part that did not arrive as zeros. `fixed`: bytes that must be
// there.
template <typename Record>
std::optional<Record> as(std::string_view bytes, size_t fixed = sizeof(Record)) {
  if (bytes.size() < fixed) {
    return std::nullopt;
  }
  Record record{};
  std::memcpy(&record, bytes.data(), std::min(bytes.size(), sizeof record));
  return record;
}

template <size_t Size>
std::string text_of(const char (&field)[Size]) {
  return {field, ::strnlen(field, Size)};
}

// Of the kernel's own encoding (include/linux/kdev_t.h).
uint32_t device_major(uint32_t device);
uint32_t device_minor(uint32_t device);

// A time of CLOCK_BOOTTIME, ns, on the wall clock. Wraps where a hostile recording wants it to.
std::chrono::system_clock::time_point wall_time(uint64_t boot_ns,
                                                std::chrono::nanoseconds boot_to_wall);

// siginfo_t as asm-generic/siginfo.h lays it out on a 64-bit kernel.
RawSignal signal_of(uint32_t number, const __u8 (&siginfo)[CC_SIGINFO_SIZE]);

// Absolute; the components come deepest first, each with its NUL. `available`: bytes that arrived.
std::string path_of(const cc_path& path, size_t available);

// An argument block (execve(2)): strings, each with its NUL; the last may have been cut.
std::vector<std::string> split_at_nul(std::string_view block);

// Ascending, pieces that touch or overlap become one.
void join(std::vector<MemoryRange>& ranges);

}  // namespace crashcrawler
