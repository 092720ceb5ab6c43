#include "runner/report/core_bytes.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace crashcrawler {

FieldWriter& FieldWriter::number(uint64_t value, size_t size) {
  for (size_t i = 0; i < size; ++i) {
    bytes_ += static_cast<char>(value >> (8 * i));
  }
  return *this;
}

FieldWriter& FieldWriter::text(std::string_view text) {
  return raw(text).number(0, 1);
}

FieldWriter& FieldWriter::text(std::string_view text, size_t size) {
  const size_t end = bytes_.size() + size;
  return raw(text.substr(0, size - 1)).fill(end);
}

FieldWriter& FieldWriter::raw(std::string_view bytes) {
  bytes_ += bytes;
  return *this;
}

FieldWriter& FieldWriter::align(size_t size) {
  return fill((bytes_.size() + size - 1) / size * size);
}

FieldWriter& FieldWriter::fill(size_t size) {
  bytes_.resize(std::max(bytes_.size(), size));
  return *this;
}

void CoreMemory::add(uint64_t address, std::string_view bytes, uint32_t flags) {
  add(address, bytes.size(), bytes, flags);
}

void CoreMemory::add_without_bytes(uint64_t address, uint64_t size, uint32_t flags) {
  add(address, size, {}, flags);
}

void CoreMemory::add(uint64_t address, uint64_t size, std::string_view bytes, uint32_t flags) {
  const uint64_t end = size < ~uint64_t{0} - address ? address + size : ~uint64_t{0};
  uint64_t from = address;
  auto next = segments_.upper_bound(address);
  if (next != segments_.begin()) {
    const auto& [start, segment] = *std::prev(next);
    from = std::max(from, start + segment.size);
  }
  while (from < end) {
    const uint64_t to = next == segments_.end() ? end : std::min(end, next->first);
    if (from < to) {
      CoreSegment segment{to - from, {}, flags};
      if (!bytes.empty()) {
        segment.bytes = bytes.substr(from - address, to - from);
      }
      segments_.emplace_hint(next, from, std::move(segment));
    }
    if (next == segments_.end()) {
      break;
    }
    from = next->first + next->second.size;
    ++next;
  }
}

}  // namespace crashcrawler
