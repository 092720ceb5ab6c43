// Sizes in the file are claims. Nothing is reserved before it is clear that it stays below kMostInflated, and what does
// not come out as long as it said is wrong.
#include "runner/unwind/compressed_sections.h"

#include <elf.h>
#include <gelf.h>
#include <libdeflate.h>
#include <lzma.h>
#include <zstd.h>

#include <algorithm>
#include <cstring>
#include <iterator>
#include <memory>
#include <span>
#include <utility>
#include <vector>

namespace crashcrawler {

namespace {

constexpr size_t kMostInflated = size_t{512} << 20;  // of one file
constexpr uint64_t kMostMemoryOfXz = uint64_t{128} << 20;
constexpr size_t kGrowth = 1u << 20;
constexpr uint64_t kMostOfDeflate =
    1032;                      // bytes that one byte can become (RFC 1951: 258 in 2 bits)
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

// Nobody asks these where a function or a line is, and .debug_loclists alone may be a seventh of all.
bool is_needed(std::string_view name) {
  static constexpr std::string_view kNotNeeded[] = {
      ".debug_gnu_pubnames", ".debug_gnu_pubtypes", ".debug_loc",
      ".debug_loclists",     ".debug_macinfo",      ".debug_macro",
      ".debug_pubnames",     ".debug_pubtypes",     ".debug_names"};
  return std::ranges::find(kNotNeeded, name) == std::end(kNotNeeded);
}

bool inflate(uint32_t type, std::string_view packed, std::span<char> into) {
  if (type == kZstd) {
    const size_t made = ZSTD_decompress(into.data(), into.size(), packed.data(), packed.size());
    return ZSTD_isError(made) == 0 && made == into.size();
  }
  const std::unique_ptr<libdeflate_decompressor, decltype(&libdeflate_free_decompressor)>
      decompressor(libdeflate_alloc_decompressor(), libdeflate_free_decompressor);
  return decompressor &&
         libdeflate_zlib_decompress(decompressor.get(), packed.data(), packed.size(), into.data(),
                                    into.size(), nullptr) == LIBDEFLATE_SUCCESS;
}

size_t aligned(size_t offset) {
  constexpr size_t kLongestAlignment = 8;  // of a section of debug information
  return (offset + kLongestAlignment - 1) / kLongestAlignment * kLongestAlignment;
}

// The file that is made has the headers of all sections, but bytes only of those that are asked for debug information.
// Section headers of 64-bit and 32-bit files are the same but for the width of their numbers.
template <typename Ehdr, typename Shdr, typename Chdr>
class Inflater {
 public:
  Inflater(Elf* elf, std::string_view bytes) : elf_(elf), bytes_(bytes) {}

  Result<std::optional<std::string>> run();

 private:
  struct Piece {
    size_t section;
    std::string_view from;  // in the file, without the header of what is compressed
    uint32_t type;          // 0: not compressed
    size_t at;              // in the file that is made
  };

  static Error broken(const char* what) {
    return Error{std::string("compressed sections: ") + what};
  }
  std::string_view name_of(const Shdr& section) const {
    const char* name = elf_strptr(elf_, names_, section.sh_name);
    return name != nullptr ? name : "";
  }
  Result<void> read_headers();
  Result<void> plan();

  Elf* elf_;
  std::string_view bytes_;
  Ehdr header_{};
  size_t names_ = 0;
  std::vector<Shdr> sections_;
  std::vector<Piece> pieces_;
  size_t size_ = 0;  // of the file that is made
};

template <typename Ehdr, typename Shdr, typename Chdr>
Result<void> Inflater<Ehdr, Shdr, Chdr>::read_headers() {
  if (bytes_.size() < sizeof header_ || elf_getshdrstrndx(elf_, &names_) != 0) {
    return {};
  }
  std::memcpy(&header_, bytes_.data(), sizeof header_);
  for (size_t i = 0; i < header_.e_shnum; ++i) {
    const uint64_t place = header_.e_shoff + i * sizeof(Shdr);
    if (place > bytes_.size() || bytes_.size() - place < sizeof(Shdr)) {
      return broken("a section header lies outside the file");
    }
    std::memcpy(&sections_.emplace_back(), bytes_.data() + place, sizeof(Shdr));
  }
  return {};
}

// Decides on the pieces; none: the file can stay as it is.
template <typename Ehdr, typename Shdr, typename Chdr>
Result<void> Inflater<Ehdr, Shdr, Chdr>::plan() {
  bool has_zlib = false, has_zstd = false, has_relative = false;
  size_ = aligned(sizeof header_ + sections_.size() * sizeof(Shdr));
  for (size_t i = 0; i < sections_.size(); ++i) {
    Shdr& section = sections_[i];
    const std::string_view name = name_of(section);
    const bool compressed = (section.sh_flags & SHF_COMPRESSED) != 0;
    has_relative = has_relative || name == ".gnu_debugaltlink";
    const bool wanted = i == names_ || compressed || name.starts_with(".debug_") ||
                        name.starts_with(".zdebug_") || name == ".gnu_debugaltlink";
    if (section.sh_type == SHT_NOBITS || section.sh_type == SHT_NULL || !wanted ||
        !is_needed(name)) {
      section.sh_flags &= ~static_cast<decltype(section.sh_flags)>(SHF_COMPRESSED);
      section.sh_type = section.sh_type == SHT_NULL ? SHT_NULL : SHT_NOBITS;
      continue;
    }
    if (section.sh_offset > bytes_.size() || bytes_.size() - section.sh_offset < section.sh_size) {
      return broken("one lies outside the file");
    }
    Piece piece{i, bytes_.substr(section.sh_offset, section.sh_size), 0, size_};
    if (compressed) {
      Chdr compression;
      if (piece.from.size() < sizeof compression) {
        return broken("one lies outside the file");
      }
      std::memcpy(&compression, piece.from.data(), sizeof compression);
      piece.from.remove_prefix(sizeof compression);
      piece.type = compression.ch_type;
      if (piece.type != ELFCOMPRESS_ZLIB && piece.type != kZstd) {
        return broken("one is compressed in an unknown way");
      }
      if (compression.ch_size > kMostInflated) {
        return broken("they are longer than anything sensible");
      }
      if (piece.type == ELFCOMPRESS_ZLIB &&
          compression.ch_size / kMostOfDeflate > piece.from.size()) {
        return broken("one cannot be as long as it says");
      }
      (piece.type == kZstd ? has_zstd : has_zlib) = true;
      section.sh_size = compression.ch_size;
      section.sh_addralign = compression.ch_addralign;
      section.sh_flags &= ~static_cast<decltype(section.sh_flags)>(SHF_COMPRESSED);
    }
    section.sh_offset = static_cast<decltype(section.sh_offset)>(size_);
    size_ = aligned(size_ + section.sh_size);
    if (size_ > kMostInflated) {
      return broken("they are longer than anything sensible");
    }
    pieces_.push_back(piece);
  }
  // libdw finds the common file of dwz by the place of the file that it reads, and a copy has none.
  if (!has_zstd && (!has_zlib || has_relative)) {
    pieces_.clear();
  }
  return {};
}

template <typename Ehdr, typename Shdr, typename Chdr>
Result<std::optional<std::string>> Inflater<Ehdr, Shdr, Chdr>::run() {
  if (Result<void> read = read_headers(); !read) {
    return read.error();
  }
  if (Result<void> planned = plan(); !planned) {
    return planned.error();
  }
  if (pieces_.empty()) {
    return std::optional<std::string>();
  }
  std::string made(size_, '\0');
  header_.e_phnum = 0;
  header_.e_phoff = 0;
  header_.e_shoff = sizeof header_;
  header_.e_shentsize = sizeof(Shdr);
  std::memcpy(made.data(), &header_, sizeof header_);
  std::memcpy(made.data() + sizeof header_, sections_.data(), sections_.size() * sizeof(Shdr));
  for (const Piece& piece : pieces_) {
    const std::span<char> into(made.data() + piece.at, sections_[piece.section].sh_size);
    if (piece.type == 0) {
      std::ranges::copy(piece.from, into.begin());
    } else if (!inflate(piece.type, piece.from, into)) {
      return broken("one cannot be decompressed");
    }
  }
  return std::optional(std::move(made));
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

Result<std::optional<std::string>> inflated_debug_file(Elf* elf, std::string_view bytes) {
  switch (gelf_getclass(elf)) {
    case ELFCLASS64:
      return Inflater<Elf64_Ehdr, Elf64_Shdr, Elf64_Chdr>(elf, bytes).run();
    case ELFCLASS32:
      return Inflater<Elf32_Ehdr, Elf32_Shdr, Elf32_Chdr>(elf, bytes).run();
    default:
      return std::optional<std::string>();
  }
}

}  // namespace crashcrawler
