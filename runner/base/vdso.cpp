#include "runner/base/vdso.h"

#include <elf.h>
#include <sys/auxv.h>

#include <algorithm>
#include <cstdint>
#include <cstring>

namespace crashcrawler {

std::string_view own_vdso_bytes() {
  const uint64_t start = ::getauxval(AT_SYSINFO_EHDR);
  if (start == 0) {
    return {};
  }
  const char* image = reinterpret_cast<const char*>(start);
  Elf64_Ehdr header;
  std::memcpy(&header, image, sizeof header);
  if (std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0) {
    return {};
  }
  // The section headers are the last part of the file; the segments may reach further.
  uint64_t end = header.e_shoff + uint64_t{header.e_shnum} * header.e_shentsize;
  for (unsigned i = 0; i < header.e_phnum; ++i) {
    Elf64_Phdr segment;
    std::memcpy(&segment, image + header.e_phoff + uint64_t{i} * header.e_phentsize,
                sizeof segment);
    end = std::max(end, segment.p_offset + segment.p_filesz);
  }
  return {image, end};
}

}  // namespace crashcrawler
