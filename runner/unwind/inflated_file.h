// The debug information of an ELF file whose sections are compressed (SHF_COMPRESSED of the gABI), not compressed. elfutils
// reads sections compressed by zstd from 0.189 on only, and those compressed by zlib all at once and at less than half of the
// speed.
#pragma once

#include <libelf.h>

#include <array>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "runner/base/result.h"

namespace crashcrawler {

// An ELF file in our memory with the sections that functions and lines are found by. .debug_info and .debug_line are inflated
// on demand: who reads them says how far.
class InflatedFile {
 public:
  enum class Section { info, line };
  static constexpr uint64_t kAll = std::numeric_limits<uint64_t>::max();

  // Of the ELF file `bytes`, which `elf` reads and which have to stay. Null: it has no compressed sections, or elfutils has to
  // read the file itself because it leads to another one. Error: what is wrong with them.
  static Result<std::unique_ptr<InflatedFile>> of(Elf* elf, std::string_view bytes);

  InflatedFile(const InflatedFile&) = delete;
  InflatedFile& operator=(const InflatedFile&) = delete;
  ~InflatedFile();

  std::string_view bytes() const { return {bytes_.data(), bytes_.size()}; }

  // Makes the bytes of the section before offset `end` readable; what is not, reads as zero. False: it cannot be
  // decompressed.
  bool inflate(Section section, uint64_t end);

 private:
  class Stream;
  template <typename Ehdr, typename Shdr, typename Chdr>
  class Maker;

  explicit InflatedFile(size_t size);

  std::span<char> bytes_;
  std::array<std::unique_ptr<Stream>, 2> streams_;  // by Section; null: it is readable as it is
};

}  // namespace crashcrawler
