// The general registers of one frame, by DWARF number, each known or unknown.
#pragma once

#include <array>
#include <bitset>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "runner/model/raw_crash.h"

namespace crashcrawler {

// What the unwinder has to know about an architecture. The numbers are those of the psABIs' DWARF
// register tables (x86-64: figure 3.36, i386: table 2.14).
struct RegisterLayout {
  size_t count;        // registers that are followed; the return address column is the last
  size_t pc, sp, fp;   // DWARF numbers
  size_t word_size;    // bytes
  uint32_t preserved;  // a bit for each register that a function gives back as it found it
  uint64_t mask;       // of an address
};

const RegisterLayout& register_layout(Architecture architecture);

class RegisterSet {
 public:
  static constexpr size_t kMost = 17;

  explicit RegisterSet(Architecture architecture) : layout_(&register_layout(architecture)) {}
  RegisterSet(const Registers& registers, Architecture architecture);

  const RegisterLayout& layout() const { return *layout_; }

  std::optional<uint64_t> get(size_t number) const;
  void set(size_t number, uint64_t value);
  void forget(size_t number);

  // Always known: a frame whose pc or sp is not is never made.
  uint64_t pc() const { return values_[layout_->pc]; }
  uint64_t sp() const { return values_[layout_->sp]; }
  std::optional<uint64_t> fp() const { return get(layout_->fp); }

 private:
  const RegisterLayout* layout_;
  std::array<uint64_t, kMost> values_{};
  std::bitset<kMost> known_;
};

}  // namespace crashcrawler
