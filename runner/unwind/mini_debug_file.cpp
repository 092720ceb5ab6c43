// Sizes are not believed: what grows beyond anything sensible is wrong.
#include "runner/unwind/mini_debug_file.h"

#include <lzma.h>

#include <string_view>
#include <utility>

#include "runner/unwind/debug_files.h"

namespace crashcrawler {

namespace {

constexpr size_t kMostInflated = size_t{512} << 20;
constexpr uint64_t kMostMemoryOfXz = uint64_t{128} << 20;
constexpr size_t kGrowth = 1u << 20;

Result<std::string> inflate_xz(std::string_view packed) {
  lzma_stream stream = LZMA_STREAM_INIT;
  if (lzma_stream_decoder(&stream, kMostMemoryOfXz, 0) != LZMA_OK) {
    return Error{"liblzma does not start"};
  }
  stream.next_in = reinterpret_cast<const uint8_t*>(packed.data());
  stream.avail_in = packed.size();
  std::string inflated;
  lzma_ret state = LZMA_OK;
  while (state == LZMA_OK && stream.avail_out == 0 && inflated.size() < kMostInflated) {
    const size_t made = inflated.size();
    inflated.resize(made + kGrowth);
    stream.next_out = reinterpret_cast<uint8_t*>(inflated.data()) + made;
    stream.avail_out = kGrowth;
    state = lzma_code(&stream, LZMA_FINISH);
  }
  inflated.resize(inflated.size() - stream.avail_out);
  lzma_end(&stream);
  if (state != LZMA_STREAM_END) {
    return Error{state == LZMA_OK
                     ? "it is longer than anything sensible"
                     : "it cannot be decompressed (liblzma: " + std::to_string(state) + ")"};
  }
  return inflated;
}

}  // namespace

Result<std::optional<std::string>> mini_debug_file(Elf* elf) {
  Elf_Scn* section = find_section(elf, ".gnu_debugdata");
  if (section == nullptr) {
    return std::optional<std::string>();
  }
  const Elf_Data* data = elf_rawdata(section, nullptr);
  if (data == nullptr || data->d_buf == nullptr) {
    return Error{".gnu_debugdata lies outside the file"};
  }
  Result<std::string> inflated = inflate_xz({static_cast<const char*>(data->d_buf), data->d_size});
  if (!inflated) {
    return Error{".gnu_debugdata: " + inflated.error().message};
  }
  return std::optional(std::move(*inflated));
}

}  // namespace crashcrawler
