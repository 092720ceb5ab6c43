#include "runner/unwind/debug_files.h"

#include <elfutils/libdwelf.h>
#include <fcntl.h>
#include <gelf.h>
#include <sys/stat.h>

#include <array>
#include <filesystem>

namespace crashcrawler {

namespace {

// O_NONBLOCK: a name that comes out of a hostile file may be that of a FIFO.
std::optional<DebugFile> open_candidate(const std::string& path) {
  DebugFile file;
  file.fd.reset(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  struct stat status;
  if (!file.fd || ::fstat(file.fd.get(), &status) != 0 || !S_ISREG(status.st_mode)) {
    return std::nullopt;
  }
  file.elf = begin_elf(file.fd.get());
  if (!file.elf || elf_kind(file.elf.get()) != ELF_K_ELF) {
    return std::nullopt;
  }
  file.size = static_cast<size_t>(status.st_size);
  file.path = path;
  return file;
}

std::string build_id_of(Elf* elf) {
  const void* id = nullptr;
  const ssize_t length = dwelf_elf_gnu_build_id(elf, &id);
  return length > 0 ? hex_digits({static_cast<const char*>(id), static_cast<size_t>(length)})
                    : std::string();
}

bool belongs(const DebugFile& file, const std::string& build_id, std::optional<uint32_t> checksum) {
  const std::string found = build_id_of(file.elf.get());
  if (!found.empty() && !build_id.empty()) {
    return found == build_id;
  }
  size_t size = 0;
  const char* bytes = elf_rawfile(file.elf.get(), &size);
  return checksum && bytes != nullptr && debuglink_checksum({bytes, size}) == *checksum;
}

}  // namespace

std::optional<DebugFile> DebugFileSearch::find(Elf* elf, const std::string& build_id,
                                               const std::string& path) const {
  struct Candidate {
    std::string path;
    std::optional<uint32_t> checksum;
  };
  std::vector<Candidate> candidates;
  if (build_id.size() > 2) {
    const std::string name =
        "/.build-id/" + build_id.substr(0, 2) + "/" + build_id.substr(2) + ".debug";
    for (const std::string& root : roots_) {
      candidates.push_back({root + name, std::nullopt});
    }
  }
  GElf_Word checksum = 0;
  const char* link = dwelf_elf_gnu_debuglink(elf, &checksum);
  const size_t slash = path.rfind('/');
  // A name, not a path: what the file says must not lead out of the folders that are searched.
  if (link != nullptr && slash != std::string::npos &&
      std::string_view(link).find('/') == std::string_view::npos) {
    const std::string folder = path.substr(0, slash + 1);
    candidates.push_back({folder + link, checksum});
    candidates.push_back({folder + ".debug/" + link, checksum});
    for (const std::string& root : roots_) {
      candidates.push_back({root + folder + link, checksum});
    }
  }
  if (const auto fetched = fetched_.find(build_id); fetched != fetched_.end()) {
    candidates.push_back({fetched->second, std::nullopt});
  }
  for (const Candidate& candidate : candidates) {
    if (candidate.path == path) {
      continue;
    }
    std::optional<DebugFile> file = open_candidate(candidate.path);
    if (file && belongs(*file, build_id, candidate.checksum)) {
      return file;
    }
  }
  return std::nullopt;
}

std::string folder_of(int fd) {
  std::error_code none;
  const std::string path =
      std::filesystem::read_symlink("/proc/self/fd/" + std::to_string(fd), none).string();
  return path.starts_with('/') ? path.substr(0, path.rfind('/') + 1) : "";
}

bool leads_to_file(const std::string& folder, const char* directory, const char* name) {
  std::string path = name;
  if (directory != nullptr && *name != '/') {
    path = std::string(directory) + "/" + path;
  }
  if (!path.starts_with('/')) {
    path = folder + path;
  }
  struct stat status {};
  return ::stat(path.c_str(), &status) != 0 || S_ISREG(status.st_mode);
}

Elf_Scn* find_section(Elf* elf, std::string_view name) {
  size_t names = 0;
  if (elf_getshdrstrndx(elf, &names) != 0) {
    return nullptr;
  }
  Elf_Scn* section = nullptr;
  while ((section = elf_nextscn(elf, section)) != nullptr) {
    GElf_Shdr header;
    if (gelf_getshdr(section, &header) == nullptr || header.sh_type == SHT_NOBITS) {
      continue;
    }
    const char* found = elf_strptr(elf, names, header.sh_name);
    if (found != nullptr && name == found) {
      return section;
    }
  }
  return nullptr;
}

std::string hex_digits(std::string_view bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (const char byte : bytes) {
    text += kDigits[static_cast<unsigned char>(byte) >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

uint32_t debuglink_checksum(std::string_view bytes) {
  static const std::array<uint32_t, 256> kTable = [] {
    std::array<uint32_t, 256> table{};
    for (uint32_t i = 0; i < table.size(); ++i) {
      uint32_t value = i;
      for (int bit = 0; bit < 8; ++bit) {
        value = (value & 1) != 0 ? 0xedb88320 ^ value >> 1 : value >> 1;
      }
      table[i] = value;
    }
    return table;
  }();
  uint32_t checksum = 0xffffffff;
  for (const char byte : bytes) {
    checksum = kTable[(checksum ^ static_cast<unsigned char>(byte)) & 0xff] ^ checksum >> 8;
  }
  return ~checksum;
}

}  // namespace crashcrawler
