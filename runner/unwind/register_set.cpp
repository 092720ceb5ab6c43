#include "runner/unwind/register_set.h"

namespace crashcrawler {

const RegisterLayout& register_layout(Architecture architecture) {
  // rbx, rbp, r12 to r15; ebx, ebp, esi, edi
  static constexpr RegisterLayout kX86_64{17, 16, 7, 6, 8, 0xf048, ~uint64_t{0}};
  static constexpr RegisterLayout kI386{9, 8, 4, 5, 4, 0xe8, 0xffffffff};
  return architecture == Architecture::i386 ? kI386 : kX86_64;
}

RegisterSet::RegisterSet(const Registers& r, Architecture architecture)
    : RegisterSet(architecture) {
  if (architecture == Architecture::i386) {
    values_ = {r.rax, r.rcx, r.rdx, r.rbx, r.rsp, r.rbp, r.rsi, r.rdi, r.rip};
  } else {
    values_ = {r.rax, r.rdx, r.rcx, r.rbx, r.rsi, r.rdi, r.rbp, r.rsp, r.r8,
               r.r9,  r.r10, r.r11, r.r12, r.r13, r.r14, r.r15, r.rip};
  }
  for (size_t number = 0; number < layout_->count; ++number) {
    set(number, values_[number]);
  }
}

std::optional<uint64_t> RegisterSet::get(size_t number) const {
  if (number >= layout_->count || !known_[number]) {
    return std::nullopt;
  }
  return values_[number];
}

void RegisterSet::set(size_t number, uint64_t value) {
  if (number < layout_->count) {
    values_[number] = value & layout_->mask;
    known_[number] = true;
  }
}

void RegisterSet::forget(size_t number) {
  if (number < layout_->count) {
    known_[number] = false;
  }
}

}  // namespace crashcrawler
