// What can still be read of a dead process: the captured stack bytes, and code that lies unchanged
// in files.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runner/base/hex.h"
#include "runner/model/raw_crash.h"

namespace crashcrawler {

// Views, no copies: the crash and the file bytes have to outlive it.
class AddressSpace {
 public:
  explicit AddressSpace(const RawCrash& crash);

  // `bytes` lay at `address`. Only for mappings that nothing can have written to: a relocated page
  // differs from its file.
  void add_file_bytes(uint64_t address, std::string_view bytes);

  // The longest piece of memory that begins at `address`, at most `most` bytes of it; empty: not
  // captured.
  std::string_view read(uint64_t address, size_t most) const;

  // The first address from `address` on whose bytes were captured.
  std::optional<uint64_t> next_captured(uint64_t address) const;

  // A little-endian number of 1 to 8 bytes.
  std::optional<uint64_t> read_number(uint64_t address, size_t size) const;

 private:
  struct Piece {
    uint64_t address;
    std::string_view bytes;
  };

  static std::string_view find(const std::vector<Piece>& pieces, uint64_t address, size_t most);

  std::vector<Piece> snapshot_;  // ascending
  std::vector<Piece> files_;     // ascending
};

}  // namespace crashcrawler
