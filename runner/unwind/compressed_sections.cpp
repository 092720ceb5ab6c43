// Sizes in the file are claims. Nothing is reserved before it is clear that it stays below kMostInflated, and what does
// not come out as long as it said is wrong.
#include "runner/unwind/compressed_sections.h"

#include <elf.h>
#include <gelf.h>
#include <lzma.h>
#include <zstd.h>

#include <algorithm>
#include <cstring>

namespace crashcrawler {

namespace {

constexpr size_t kMostInflated = size_t{512} << 20;  // of one file
constexpr uint64_t kMostMemoryOfXz = uint64_t{128} << 20;
constexpr size_t kGrowth = 1u << 20;
constexpr uint32_t kZstd = 2;  // ELFCOMPRESS_ZSTD, which the elf.h of glibc 2.36 lacks

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

// Section headers of 64-bit and 32-bit files are the same but for the width of their numbers.
template <typename Ehdr, typename Shdr, typename Chdr>
Result<std::optional<std::string>> inflate_sections(std::string_view bytes) {
  const auto broken = [](const char* what) {
    return Error{std::string("sections compressed by zstd: ") + what};
  };
  Ehdr header;
  if (bytes.size() < sizeof header) {
    return std::optional<std::string>();
  }
  std::memcpy(&header, bytes.data(), sizeof header);
  std::optional<std::string> copy;
  size_t inflated = 0;
  for (size_t i = 0; i < header.e_shnum; ++i) {
    const uint64_t place = header.e_shoff + i * sizeof(Shdr);
    if (place > bytes.size() || bytes.size() - place < sizeof(Shdr)) {
      return broken("a section header lies outside the file");
    }
    Shdr section;
    std::memcpy(&section, bytes.data() + place, sizeof section);
    if ((section.sh_flags & SHF_COMPRESSED) == 0 || section.sh_type == SHT_NOBITS) {
      continue;
    }
    if (section.sh_offset > bytes.size() || bytes.size() - section.sh_offset < section.sh_size ||
        section.sh_size < sizeof(Chdr)) {
      return broken("one lies outside the file");
    }
    Chdr compressed;
    std::memcpy(&compressed, bytes.data() + section.sh_offset, sizeof compressed);
    if (compressed.ch_type != kZstd) {
      continue;
    }
    if (compressed.ch_size > kMostInflated - inflated) {
      return broken("they are longer than anything sensible");
    }
    if (!copy) {
      copy = bytes;
    }
    inflated += compressed.ch_size;
    // The longest alignment that a section of debug information has.
    copy->resize((copy->size() + 7) / 8 * 8);
    const size_t at = copy->size();
    copy->resize(at + compressed.ch_size);
    const size_t made = ZSTD_decompress(copy->data() + at, compressed.ch_size,
                                        bytes.data() + section.sh_offset + sizeof compressed,
                                        section.sh_size - sizeof compressed);
    if (ZSTD_isError(made) != 0 || made != compressed.ch_size) {
      return broken("one cannot be decompressed");
    }
    section.sh_offset = static_cast<decltype(section.sh_offset)>(at);
    section.sh_size = compressed.ch_size;
    section.sh_addralign = compressed.ch_addralign;
    section.sh_flags &= ~static_cast<decltype(section.sh_flags)>(SHF_COMPRESSED);
    std::memcpy(copy->data() + place, &section, sizeof section);
  }
  return copy;
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

Result<std::optional<std::string>> without_zstd(Elf* elf, std::string_view bytes) {
  switch (gelf_getclass(elf)) {
    case ELFCLASS64:
      return inflate_sections<Elf64_Ehdr, Elf64_Shdr, Elf64_Chdr>(bytes);
    case ELFCLASS32:
      return inflate_sections<Elf32_Ehdr, Elf32_Shdr, Elf32_Chdr>(bytes);
    default:
      return std::optional<std::string>();
  }
}

}  // namespace crashcrawler
