#include "runner/classify/dead_stack.h"

namespace crashcrawler {

std::string_view dead_stack(const RawCrash& crash) {
  constexpr uint64_t kAbove = 4096;
  if (crash.threads.empty()) {
    return {};
  }
  const RawThread& thread = crash.threads.front();
  for (const MemoryRange& range : thread.stack) {
    const uint64_t rsp = thread.registers.rsp;
    if (range.address <= rsp && rsp <= range.end()) {
      return std::string_view(range.bytes).substr(0, rsp - range.address + kAbove);
    }
  }
  return {};
}

std::string_view line_at(std::string_view text, size_t at) {
  const auto is_end = [](char letter) {
    return letter == '\n' || letter == '\0' || static_cast<unsigned char>(letter) < ' ';
  };
  size_t begin = at, end = at;
  while (begin > 0 && !is_end(text[begin - 1])) {
    --begin;
  }
  while (end < text.size() && !is_end(text[end])) {
    ++end;
  }
  return text.substr(begin, end - begin);
}

}  // namespace crashcrawler
