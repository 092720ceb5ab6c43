// Instructions cannot be decoded backwards, but calls have few shapes (Intel SDM volume 2, CALL):
// E8 and a 32-bit distance, or FF with /2 in the ModRM byte, whose length follows from ModRM and
// SIB. Prefixes come before and do not matter. The same in 64-bit and 32-bit code.
#include "runner/unwind/call_site.h"

#include <string_view>

namespace crashcrawler {

namespace {

constexpr size_t kLongestCall = 7;  // without prefixes

// Length of FF /2 as its operand bytes give it; 0: these bytes are not such a call.
size_t indirect_call_length(std::string_view bytes) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(bytes[i]); };
  if (bytes.size() < 2 || byte(0) != 0xff || (byte(1) >> 3 & 7) != 2) {
    return 0;
  }
  const unsigned mode = byte(1) >> 6, rm = byte(1) & 7;
  if (mode == 3) {
    return 2;
  }
  size_t length = 2;
  bool wide_displacement = mode == 2 || (mode == 0 && rm == 5);
  if (rm == 4) {
    if (bytes.size() < 3) {
      return 0;
    }
    length += 1;
    wide_displacement = mode == 2 || (mode == 0 && (byte(2) & 7) == 5);
  }
  return length + (mode == 1 ? 1 : 0) + (wide_displacement ? 4 : 0);
}

bool ends_with_call(std::string_view bytes, uint64_t end, const ModuleMap& modules) {
  if (bytes.size() >= 5 && static_cast<unsigned char>(bytes[bytes.size() - 5]) == 0xe8) {
    uint32_t distance = 0;
    for (size_t i = 1; i <= 4; ++i) {
      distance = distance << 8 | static_cast<unsigned char>(bytes[bytes.size() - i]);
    }
    const uint64_t target = end + static_cast<uint64_t>(int64_t{static_cast<int32_t>(distance)});
    if (modules.is_executable(target) || modules.is_executable(target & 0xffffffff)) {
      return true;
    }
  }
  for (size_t length = 2; length <= bytes.size(); ++length) {
    if (indirect_call_length(bytes.substr(bytes.size() - length)) == length) {
      return true;
    }
  }
  return false;
}

}  // namespace

bool is_return_address(uint64_t address, const ModuleMap& modules, const AddressSpace& memory) {
  // of the call itself: a call at the very end of a mapping returns to one byte behind it
  if (address == 0 || !modules.is_executable(address - 1)) {
    return false;
  }
  for (size_t length = kLongestCall; length >= 2; --length) {
    const std::string_view bytes = memory.read(address - length, length);
    if (bytes.size() == length) {
      return ends_with_call(bytes, address, modules);
    }
  }
  return true;
}

}  // namespace crashcrawler
