// What the fuzz targets share. Each target is one function that takes any bytes, LLVMFuzzerTestOneInput() of libFuzzer,
// and a decoder of ours below it that must not crash, hang, or break the promise that the target checks.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "runner/base/unique_fd.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace crashcrawler::fuzz {

// A promise that was broken: as loud as a crash, also where assert() is compiled away.
inline void require(bool kept) {
  if (!kept) {
    std::abort();
  }
}

inline std::string_view text_of(const uint8_t* data, size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

// A regular file with these bytes, at its beginning.
inline UniqueFd file_with(std::string_view bytes) {
  UniqueFd file(::memfd_create("fuzz", MFD_CLOEXEC));
  for (std::string_view rest = bytes; !rest.empty();) {
    const ssize_t put = ::write(file.get(), rest.data(), rest.size());
    require(put > 0);
    rest.remove_prefix(static_cast<size_t>(put));
  }
  ::lseek(file.get(), 0, SEEK_SET);
  return file;
}

// The parts of an input that is several texts: they end with a line "====".
inline std::vector<std::string> parts_of(std::string_view text) {
  constexpr std::string_view kEnd = "\n====\n";
  std::vector<std::string> parts;
  for (;;) {
    const size_t end = text.find(kEnd);
    parts.emplace_back(text.substr(0, end));
    if (end == std::string_view::npos) {
      return parts;
    }
    text.remove_prefix(end + kEnd.size());
  }
}

}  // namespace crashcrawler::fuzz
