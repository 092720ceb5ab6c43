// Sizes in the file are claims. Nothing is reserved before it is clear that it stays below kMostInflated, and what does
// not come out as long as it said is wrong.
//
// Inflating all of the C library's debug information takes longer than everything else that is done for a crash. It is read
// by its offsets, and a unit near its beginning needs what lies before it and itself; so the two sections that are most of
// it are inflated from their beginning up to what is asked for. The rest of them stays a page of zeros that nobody touches.
#include "runner/unwind/inflated_file.h"

#include <elf.h>
#include <gelf.h>
#include <libdeflate.h>
#include <sys/mman.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <cstring>
#include <iterator>
#include <new>
#include <span>
#include <utility>
#include <vector>

namespace crashcrawler {

namespace {

constexpr size_t kMostInflated = size_t{512} << 20;  // of one file
constexpr size_t kGrowth = size_t{64} << 10;
// Up to this part of a section zlib is asked. Not further, because the next frame of a thread wants more as a rule: the C
// library's start_thread() lies in the middle and clone3() near the end, and what zlib has done is done again then.
constexpr size_t kPart = 8;
constexpr uint64_t kMostOfDeflate =
    1032;                      // bytes that one byte can become (RFC 1951: 258 in 2 bits)
constexpr uint32_t kZstd = 2;  // ELFCOMPRESS_ZSTD, which the elf.h of glibc 2.36 lacks

// Nobody asks these where a function or a line is, and .debug_loclists alone may be a seventh of all.
bool is_needed(std::string_view name) {
  static constexpr std::string_view kNotNeeded[] = {
      ".debug_gnu_pubnames", ".debug_gnu_pubtypes", ".debug_loc",
      ".debug_loclists",     ".debug_macinfo",      ".debug_macro",
      ".debug_pubnames",     ".debug_pubtypes",     ".debug_names"};
  return std::ranges::find(kNotNeeded, name) == std::end(kNotNeeded);
}

std::optional<InflatedFile::Section> read_in_parts(std::string_view name) {
  if (name == ".debug_info") {
    return InflatedFile::Section::info;
  }
  return name == ".debug_line" ? std::optional(InflatedFile::Section::line) : std::nullopt;
}

bool inflate_zstd(std::string_view packed, std::span<char> into) {
  const size_t made = ZSTD_decompress(into.data(), into.size(), packed.data(), packed.size());
  return ZSTD_isError(made) == 0 && made == into.size();
}

size_t aligned(size_t offset) {
  constexpr size_t kLongestAlignment = 8;  // of a section of debug information
  return (offset + kLongestAlignment - 1) / kLongestAlignment * kLongestAlignment;
}

}  // namespace

// A stream of zlib (RFC 1950) on its way to the memory where it shall lie. zlib can stop on the way, libdeflate cannot, but
// needs less than half of the time.
class InflatedFile::Stream {
 public:
  Stream(std::string_view packed, std::span<char> into) : packed_(packed), into_(into) {}
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  ~Stream() { ::inflateEnd(&state_); }

  // Has the first `end` bytes inflated. False: the stream is broken or, which is seen when all of it is inflated, not as long
  // as it said, or its checksum is wrong.
  bool inflate(uint64_t end) {
    if (!broken_ && end > done_ && done_ < into_.size()) {
      broken_ = !(end < into_.size() / kPart ? inflate_until(end) : inflate_all());
    }
    return !broken_;
  }

  bool inflate_all() {
    const std::unique_ptr<libdeflate_decompressor, decltype(&libdeflate_free_decompressor)>
        decompressor(libdeflate_alloc_decompressor(), libdeflate_free_decompressor);
    done_ = into_.size();
    return decompressor &&
           libdeflate_zlib_decompress(decompressor.get(), packed_.data(), packed_.size(),
                                      into_.data(), into_.size(), nullptr) == LIBDEFLATE_SUCCESS;
  }

 private:
  bool inflate_until(uint64_t end) {
    if (state_.next_in == nullptr) {
      state_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed_.data()));
      state_.avail_in = static_cast<uInt>(packed_.size());
      if (::inflateInit(&state_) != Z_OK) {
        return false;
      }
    }
    const size_t wanted = std::min(into_.size(), (end + kGrowth - 1) / kGrowth * kGrowth);
    state_.next_out = reinterpret_cast<Bytef*>(into_.data() + done_);
    state_.avail_out = static_cast<uInt>(wanted - done_);
    const int result = ::inflate(&state_, Z_SYNC_FLUSH);
    done_ = wanted;
    return (result == Z_OK || result == Z_STREAM_END) && state_.avail_out == 0;
  }

  std::string_view packed_;
  std::span<char> into_;
  size_t done_ = 0;
  bool broken_ = false;
  z_stream state_{};
};

// The file that is made has the headers of all sections, but bytes only of those that are asked for debug information.
// Section headers of 64-bit and 32-bit files are the same but for the width of their numbers.
template <typename Ehdr, typename Shdr, typename Chdr>
class InflatedFile::Maker {
 public:
  Maker(Elf* elf, std::string_view bytes) : elf_(elf), bytes_(bytes) {}

  Result<std::unique_ptr<InflatedFile>> run();

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
Result<void> InflatedFile::Maker<Ehdr, Shdr, Chdr>::read_headers() {
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
Result<void> InflatedFile::Maker<Ehdr, Shdr, Chdr>::plan() {
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
Result<std::unique_ptr<InflatedFile>> InflatedFile::Maker<Ehdr, Shdr, Chdr>::run() {
  if (Result<void> read = read_headers(); !read) {
    return read.error();
  }
  if (Result<void> planned = plan(); !planned) {
    return planned.error();
  }
  if (pieces_.empty()) {
    return std::unique_ptr<InflatedFile>();
  }
  std::unique_ptr<InflatedFile> made(new InflatedFile(size_));
  header_.e_phnum = 0;
  header_.e_phoff = 0;
  header_.e_shoff = sizeof header_;
  header_.e_shentsize = sizeof(Shdr);
  char* const bytes = made->bytes_.data();
  std::memcpy(bytes, &header_, sizeof header_);
  std::memcpy(bytes + sizeof header_, sections_.data(), sections_.size() * sizeof(Shdr));
  for (const Piece& piece : pieces_) {
    const std::span<char> into(bytes + piece.at, sections_[piece.section].sh_size);
    if (piece.type == 0) {
      std::ranges::copy(piece.from, into.begin());
    } else if (piece.type == kZstd) {
      if (!inflate_zstd(piece.from, into)) {
        return broken("one cannot be decompressed");
      }
    } else {
      auto stream = std::make_unique<Stream>(piece.from, into);
      if (const auto part = read_in_parts(name_of(sections_[piece.section]))) {
        made->streams_[static_cast<size_t>(*part)] = std::move(stream);
      } else if (!stream->inflate_all()) {
        return broken("one cannot be decompressed");
      }
    }
  }
  return made;
}

InflatedFile::InflatedFile(size_t size) {
  void* const memory =
      ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) {
    throw std::bad_alloc();
  }
  bytes_ = {static_cast<char*>(memory), size};
}

InflatedFile::~InflatedFile() {
  ::munmap(bytes_.data(), bytes_.size());
}

Result<std::unique_ptr<InflatedFile>> InflatedFile::of(Elf* elf, std::string_view bytes) {
  switch (gelf_getclass(elf)) {
    case ELFCLASS64:
      return Maker<Elf64_Ehdr, Elf64_Shdr, Elf64_Chdr>(elf, bytes).run();
    case ELFCLASS32:
      return Maker<Elf32_Ehdr, Elf32_Shdr, Elf32_Chdr>(elf, bytes).run();
    default:
      return std::unique_ptr<InflatedFile>();
  }
}

bool InflatedFile::inflate(Section section, uint64_t end) {
  Stream* const stream = streams_[static_cast<size_t>(section)].get();
  return stream == nullptr || stream->inflate(end);
}

}  // namespace crashcrawler
