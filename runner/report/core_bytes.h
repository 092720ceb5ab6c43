// What the parts of a core file have in common: fields in the layout of a 64- or a 32-bit process, and
// the memory of the process piece by piece.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "runner/model/raw_crash.h"

namespace crashcrawler {

// Bytes of a long and of a pointer.
inline size_t word_size(Architecture architecture) {
  return architecture == Architecture::i386 ? 4 : 8;
}

// Little-endian fields one after the other. Alignment counts from the first.
class FieldWriter {
 public:
  explicit FieldWriter(Architecture architecture) : word_(word_size(architecture)) {}

  FieldWriter& number(uint64_t value, size_t size);
  FieldWriter& u16(uint64_t value) { return number(value, 2); }
  FieldWriter& u32(uint64_t value) { return number(value, 4); }
  FieldWriter& word(uint64_t value) { return number(value, word_); }
  FieldWriter& text(std::string_view text);  // with its NUL
  FieldWriter& text(std::string_view text,
                    size_t size);  // cut so that a NUL remains, padded with NULs
  FieldWriter& raw(std::string_view bytes);
  FieldWriter& align(size_t size);
  FieldWriter& align_to_word() { return align(word_); }
  FieldWriter& fill(size_t size);  // NULs up to this size in all

  size_t size() const { return bytes_.size(); }
  std::string take() { return std::move(bytes_); }

 private:
  size_t word_;
  std::string bytes_;
};

// A piece of the process's memory as a PT_LOAD has it.
struct CoreSegment {
  uint64_t size = 0;
  std::string bytes;   // `size` of them, or none: they are to be found in the mapped file
  uint32_t flags = 0;  // PF_*
};

// Pieces that do not overlap: of what is added only that is taken where nothing is yet, so what is
// surest comes first.
class CoreMemory {
 public:
  void add(uint64_t address, std::string_view bytes, uint32_t flags);
  void add_without_bytes(uint64_t address, uint64_t size, uint32_t flags);

  const std::map<uint64_t, CoreSegment>& segments() const { return segments_; }  // by address

 private:
  void add(uint64_t address, uint64_t size, std::string_view bytes, uint32_t flags);

  std::map<uint64_t, CoreSegment> segments_;
};

}  // namespace crashcrawler
