#include "runner/unwind/address_ranges.h"

#include <algorithm>
#include <cstring>

namespace crashcrawler {

namespace {

constexpr size_t kMostRanges = 1u << 22;
constexpr uint64_t kDwarf64 = 0xffffffff;  // as a length: the real one follows in eight bytes

// Little-endian numbers one after the other. Reading beyond the end gives zeros and is remembered.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : bytes_(bytes) {}

  uint64_t number(size_t size) {
    uint64_t value = 0;
    if (size > sizeof value || bytes_.size() - at_ < size) {
      failed_ = true;
      return 0;
    }
    std::memcpy(&value, bytes_.data() + at_, size);
    at_ += size;
    return value;
  }
  void align(size_t size) { at_ = std::min(bytes_.size(), (at_ + size - 1) / size * size); }
  // The next `size` bytes, which are passed over.
  std::string_view take(uint64_t size) {
    if (bytes_.size() - at_ < size) {
      failed_ = true;
      return {};
    }
    const std::string_view taken = bytes_.substr(at_, size);
    at_ += size;
    return taken;
  }
  size_t place() const { return at_; }
  bool failed() const { return failed_; }
  bool at_end() const { return at_ >= bytes_.size(); }

 private:
  std::string_view bytes_;
  size_t at_ = 0;
  bool failed_ = false;
};

}  // namespace

AddressRanges::AddressRanges(std::string_view section) {
  Reader sets(section);
  while (!sets.at_end() && !sets.failed()) {
    const size_t begin = sets.place();
    size_t offset_size = 4;
    uint64_t length = sets.number(4);
    if (length == kDwarf64) {
      offset_size = 8;
      length = sets.number(8);
    }
    const size_t header = sets.place() - begin;
    const std::string_view contents = sets.take(length);
    if (sets.failed()) {
      break;
    }
    // Tuples begin at a multiple of their size, counted from the beginning of the set.
    Reader set(section.substr(begin, header + contents.size()));
    set.take(header);
    const uint64_t version = set.number(2), unit = set.number(offset_size);
    const uint64_t address_size = set.number(1), segment_size = set.number(1);
    if (version != 2 || (address_size != 4 && address_size != 8) || segment_size != 0) {
      break;
    }
    set.align(2 * address_size);
    while (ranges_.size() < kMostRanges) {
      const uint64_t start = set.number(address_size), size = set.number(address_size);
      if (set.failed() || (start == 0 && size == 0)) {
        break;
      }
      if (size != 0 && start + size > start) {
        ranges_.push_back({start, start + size, unit});
      }
    }
  }
  std::ranges::sort(ranges_, {}, &Range::start);
}

std::optional<uint64_t> AddressRanges::unit_of(uint64_t address) const {
  const auto after = std::ranges::upper_bound(ranges_, address, {}, &Range::start);
  if (after == ranges_.begin() || address >= std::prev(after)->end) {
    return std::nullopt;
  }
  return std::prev(after)->unit;
}

}  // namespace crashcrawler
