// Everything is parsed on first use: of the thirty files of an ordinary process a crash touches
// three, and of those most need only their call frame table.
#include "runner/unwind/elf_image.h"

#include <elfutils/libdwelf.h>
#include <gelf.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "runner/unwind/bounded_child.h"
#include "runner/unwind/mini_debug_file.h"

namespace crashcrawler {

namespace {

constexpr size_t kMostSegments = 1024;
constexpr size_t kMostDynamicEntries = 4096;
constexpr size_t kLongestBuildId = 64;
constexpr size_t kLongestSoname = 4096;

// libdw's own handler prints and exits; ours ends the child in the way its parent understands. With
// the GNU spelling, which makes it part of the type that libdw asks for.
__attribute__((noreturn)) void out_of_memory() {
  ::_exit(kChildOutOfMemory);
}

// The ELF file in `bytes`, which have to stay; null: it is none.
ElfHandle elf_in(std::string_view bytes) {
  elf_version(EV_CURRENT);
  // libelf takes the image without const and does not write to one that it does not elf_update().
  ElfHandle elf(elf_memory(const_cast<char*>(bytes.data()), bytes.size()));
  return elf && elf_kind(elf.get()) == ELF_K_ELF ? std::move(elf) : nullptr;
}

}  // namespace

ElfHandle begin_elf(int fd) {
  elf_version(EV_CURRENT);
  return ElfHandle(elf_begin(fd, ELF_C_READ_MMAP, nullptr));
}

DwarfHandle begin_dwarf(Elf* elf) {
  DwarfHandle dwarf(dwarf_begin_elf(elf, DWARF_C_READ, nullptr));
  if (dwarf) {
    dwarf_new_oom_handler(dwarf.get(), out_of_memory);
  }
  return dwarf;
}

ElfImage::ElfImage(ElfHandle elf, std::string path, DebugFileSearch search)
    : elf_(std::move(elf)), path_(std::move(path)), search_(std::move(search)) {
  size_t size = 0;
  if (const char* raw = elf_rawfile(elf_.get(), &size)) {
    bytes_ = {raw, size};
  }
  read_header();
  read_segments();
  read_identity();
}

Result<std::shared_ptr<ElfImage>> ElfImage::open(int fd, const std::string& path,
                                                 const DebugFileSearch& search) {
  struct stat status;
  if (::fstat(fd, &status) != 0) {
    return errno_error("cannot look at it");
  }
  if (!S_ISREG(status.st_mode)) {
    return Error{"it is not a regular file"};
  }
  ElfHandle elf = begin_elf(fd);
  if (!elf) {
    return Error{std::string("libelf does not take it: ") + elf_errmsg(-1)};
  }
  if (elf_kind(elf.get()) != ELF_K_ELF) {
    return Error{"it is not an ELF file"};
  }
  std::shared_ptr<ElfImage> image(new ElfImage(std::move(elf), path, search));
  image->fd_ = fd;
  return image;
}

Result<std::shared_ptr<ElfImage>> ElfImage::in_memory(std::string_view bytes,
                                                      const std::string& name,
                                                      const DebugFileSearch& search) {
  ElfHandle elf = elf_in(bytes);
  if (!elf) {
    return Error{"it is not an ELF file"};
  }
  return std::shared_ptr<ElfImage>(new ElfImage(std::move(elf), name, search));
}

void ElfImage::read_header() {
  GElf_Ehdr header;
  if (gelf_getehdr(elf_.get(), &header) == nullptr || header.e_ident[EI_DATA] != ELFDATA2LSB) {
    return;
  }
  if (header.e_machine == EM_X86_64 && header.e_ident[EI_CLASS] == ELFCLASS64) {
    architecture_ = Architecture::x86_64;
  } else if (header.e_machine == EM_386 && header.e_ident[EI_CLASS] == ELFCLASS32) {
    architecture_ = Architecture::i386;
  }
}

void ElfImage::read_segments() {
  size_t count = 0;
  if (elf_getphdrnum(elf_.get(), &count) != 0) {
    return;
  }
  for (size_t i = 0; i < std::min(count, kMostSegments); ++i) {
    GElf_Phdr segment;
    if (gelf_getphdr(elf_.get(), static_cast<int>(i), &segment) != nullptr &&
        segment.p_type == PT_LOAD) {
      segments_.push_back(
          {segment.p_offset, segment.p_filesz, segment.p_vaddr, (segment.p_flags & PF_X) != 0});
    }
  }
}

void ElfImage::read_identity() {
  origin_ = read_origin(elf_.get());
  const void* id = nullptr;
  const ssize_t length = dwelf_elf_gnu_build_id(elf_.get(), &id);
  if (length > 0 && static_cast<size_t>(length) <= kLongestBuildId) {
    build_id_ = hex_digits({static_cast<const char*>(id), static_cast<size_t>(length)});
  }

  size_t count = 0;
  if (elf_getphdrnum(elf_.get(), &count) != 0) {
    return;
  }
  for (size_t i = 0; i < std::min(count, kMostSegments); ++i) {
    GElf_Phdr segment;
    if (gelf_getphdr(elf_.get(), static_cast<int>(i), &segment) == nullptr ||
        segment.p_type != PT_DYNAMIC) {
      continue;
    }
    Elf_Data* dynamic = elf_getdata_rawchunk(elf_.get(), static_cast<int64_t>(segment.p_offset),
                                             segment.p_filesz, ELF_T_DYN);
    std::optional<uint64_t> name, strings;
    for (size_t entry = 0; dynamic != nullptr && entry < kMostDynamicEntries; ++entry) {
      GElf_Dyn value;
      if (gelf_getdyn(dynamic, static_cast<int>(entry), &value) == nullptr ||
          value.d_tag == DT_NULL) {
        break;
      }
      if (value.d_tag == DT_SONAME) {
        name = value.d_un.d_val;
      } else if (value.d_tag == DT_STRTAB) {
        strings = value.d_un.d_ptr;
      }
    }
    if (name && strings) {
      soname_ = string_at(*strings + *name);
    }
    return;
  }
}

std::string ElfImage::string_at(uint64_t virtual_address) const {
  for (const LoadSegment& segment : segments_) {
    const uint64_t offset = virtual_address - segment.virtual_address;
    const uint64_t position = segment.file_offset + offset;
    if (virtual_address >= segment.virtual_address && offset < segment.file_size &&
        position < bytes_.size()) {
      const std::string_view text = bytes_.substr(position, kLongestSoname);
      const size_t end = text.find('\0');
      return end == std::string_view::npos ? std::string() : std::string(text.substr(0, end));
    }
  }
  return {};
}

void ElfImage::find_debug_information() {
  if (looked_for_debug_information_) {
    return;
  }
  looked_for_debug_information_ = true;
  if (!has_section(elf_.get(), ".debug_info") || !has_section(elf_.get(), ".symtab")) {
    debug_file_ = search_.find(elf_.get(), build_id_, path_);
  }
  const bool elsewhere = debug_file_ && !has_section(elf_.get(), ".debug_info");
  Elf* elf = elsewhere ? debug_file_->elf.get() : elf_.get();
  size_t size = 0;
  const char* raw = elf_rawfile(elf, &size);
  if (auto inflated = InflatedFile::of(elf, {raw, raw != nullptr ? size : 0}); !inflated) {
    complaint_ = inflated.error().message;
  } else if (*inflated) {
    inflated_ = std::move(*inflated);
    inflated_elf_ = elf_in(inflated_->bytes());
    elf = inflated_elf_.get();
  }
  if (!inflated_elf_) {
    debug_folder_ = folder_of(elsewhere ? debug_file_->fd.get() : fd_);
  }
  dwarf_ = begin_dwarf(elf);
  if (!dwarf_ && complaint_.empty() && has_section(elf, ".debug_info")) {
    complaint_ = std::string("its debug information cannot be read: ") + dwarf_errmsg(-1);
  }
  const char* common = nullptr;  // file of dwz
  const void* id = nullptr;
  if (dwarf_ && dwelf_dwarf_gnu_debugaltlink(dwarf_.get(), &common, &id) > 0 &&
      !leads_to_file(debug_folder_, nullptr, common)) {
    complaint_ = std::string("what lies at ") + common +
                 ", which its debug information leads to, is no file";
    dwarf_.reset();
  }
}

// A file whose symbols were stripped may have kept some of them in another form.
void ElfImage::find_symbols() {
  find_debug_information();
  if (has_section(elf_.get(), ".symtab") ||
      (debug_file_ && has_section(debug_file_->elf.get(), ".symtab"))) {
    return;
  }
  auto mini = mini_debug_file(elf_.get());
  if (!mini) {
    complaint_ = mini.error().message;
  } else if (*mini) {
    mini_bytes_ = std::move(**mini);
    mini_debug_file_ = elf_in(mini_bytes_);
    if (!mini_debug_file_) {
      complaint_ = ".gnu_debugdata is no ELF file";
    }
  }
}

FrameHandle ElfImage::call_frame(uint64_t address) {
  if (!architecture_) {
    return nullptr;
  }
  if (!looked_for_eh_frame_) {
    looked_for_eh_frame_ = true;
    eh_frame_.reset(dwarf_getcfi_elf(elf_.get()));
  }
  Dwarf_Frame* row = nullptr;
  if (eh_frame_ && dwarf_cfi_addrframe(eh_frame_.get(), address, &row) == 0) {
    return FrameHandle(row);
  }
  find_debug_information();
  Dwarf_CFI* debug_frame = dwarf_ ? dwarf_getcfi(dwarf_.get()) : nullptr;
  if (debug_frame != nullptr && dwarf_cfi_addrframe(debug_frame, address, &row) == 0) {
    return FrameHandle(row);
  }
  return nullptr;
}

const ResolvedAddress& ElfImage::resolve(uint64_t address) {
  if (!symbolizer_) {
    find_symbols();
    symbolizer_ = std::make_unique<Symbolizer>(
        elf_.get(), debug_file_ ? debug_file_->elf.get() : nullptr, mini_debug_file_.get(),
        DebugInfo(dwarf_.get(), debug_folder_, inflated_.get()));
  }
  const ResolvedAddress& resolved = symbolizer_->resolve(address);
  if (complaint_.empty()) {
    complaint_ = symbolizer_->complaint();
  }
  return resolved;
}

size_t ElfImage::footprint() const {
  return bytes_.size() + (debug_file_ ? debug_file_->size : 0) +
         (inflated_ ? inflated_->bytes().size() : 0) + mini_bytes_.size();
}

}  // namespace crashcrawler
