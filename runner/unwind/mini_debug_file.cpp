// Sizes are not believed: what grows beyond anything sensible is wrong.
#include "runner/unwind/mini_debug_file.h"

#include <gelf.h>
#include <lzma.h>

#include <string_view>
#include <utility>

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
  size_t names = 0;
  if (elf_getshdrstrndx(elf, &names) != 0) {
    return std::optional<std::string>();
  }
  Elf_Scn* section = nullptr;
  while ((section = elf_nextscn(elf, section)) != nullptr) {
    GElf_Shdr header;
    const char* name = gelf_getshdr(section, &header) != nullptr
                           ? elf_strptr(elf, names, header.sh_name)
                           : nullptr;
    if (name == nullptr || std::string_view(name) != ".gnu_debugdata" ||
        header.sh_type == SHT_NOBITS) {
      continue;
    }
    const Elf_Data* data = elf_rawdata(section, nullptr);
    if (data == nullptr || data->d_buf == nullptr) {
      return Error{".gnu_debugdata lies outside the file"};
    }
    Result<std::string> inflated =
        inflate_xz({static_cast<const char*>(data->d_buf), data->d_size});
    if (!inflated) {
      return Error{".gnu_debugdata: " + inflated.error().message};
    }
    return std::optional(std::move(*inflated));
  }
  return std::optional<std::string>();
}

}  // namespace crashcrawler
