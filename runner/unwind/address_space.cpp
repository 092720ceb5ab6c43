#include "runner/unwind/address_space.h"

#include <algorithm>
#include <cstdio>

namespace crashcrawler {

namespace {

bool starts_before(uint64_t address, uint64_t start) {
  return address < start;
}

}  // namespace

AddressSpace::AddressSpace(const RawCrash& crash) {
  for (const RawThread& thread : crash.threads) {
    for (const MemoryRange& range : thread.stack) {
      snapshot_.push_back({range.address, range.bytes});
    }
  }
  std::sort(snapshot_.begin(), snapshot_.end(),
            [](const Piece& a, const Piece& b) { return a.address < b.address; });
}

void AddressSpace::add_file_bytes(uint64_t address, std::string_view bytes) {
  const auto at = std::upper_bound(
      files_.begin(), files_.end(), address,
      [](uint64_t wanted, const Piece& piece) { return starts_before(wanted, piece.address); });
  files_.insert(at, {address, bytes});
}

std::string_view AddressSpace::find(const std::vector<Piece>& pieces, uint64_t address,
                                    size_t most) {
  const auto after = std::upper_bound(
      pieces.begin(), pieces.end(), address,
      [](uint64_t wanted, const Piece& piece) { return starts_before(wanted, piece.address); });
  if (after == pieces.begin()) {
    return {};
  }
  const Piece& piece = *std::prev(after);
  const uint64_t offset = address - piece.address;
  return offset < piece.bytes.size() ? piece.bytes.substr(offset, most) : std::string_view();
}

std::string_view AddressSpace::read(uint64_t address, size_t most) const {
  const std::string_view captured = find(snapshot_, address, most);
  return captured.empty() ? find(files_, address, most) : captured;
}

std::optional<uint64_t> AddressSpace::next_captured(uint64_t address) const {
  if (!find(snapshot_, address, 1).empty()) {
    return address;
  }
  const auto after = std::upper_bound(
      snapshot_.begin(), snapshot_.end(), address,
      [](uint64_t wanted, const Piece& piece) { return starts_before(wanted, piece.address); });
  return after == snapshot_.end() ? std::nullopt : std::optional(after->address);
}

std::optional<uint64_t> AddressSpace::read_number(uint64_t address, size_t size) const {
  const std::string_view bytes = read(address, size);
  if (bytes.size() < size || size > sizeof(uint64_t)) {
    return std::nullopt;
  }
  uint64_t value = 0;
  for (size_t i = size; i-- > 0;) {
    value = value << 8 | static_cast<unsigned char>(bytes[i]);
  }
  return value;
}

}  // namespace crashcrawler
