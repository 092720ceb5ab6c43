// Formats: .note.package is https://systemd.io/PACKAGE_METADATA_FOR_EXECUTABLE_FILES, version definitions are in the Linux
// Standard Base ("Symbol Versioning"), .comment is a section of strings that compilers and linkers add to.
#include "runner/unwind/elf_origin.h"

#include <gelf.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <map>
#include <utility>

namespace crashcrawler {

namespace {

constexpr uint32_t kPackageNote = 0xcafe1a7e;  // NT_FDO_PACKAGING_METADATA
constexpr std::string_view kPackageNoteOwner = "FDO";
constexpr size_t kLongestNote = 16 << 10;
constexpr size_t kMostCompilers = 8, kLongestCompiler = 256;
constexpr size_t kMostVersions = 4096, kLongestVersion = 256;
constexpr size_t kMostSections = 4096;

std::string_view bytes_of(const Elf_Data* data) {
  return data != nullptr && data->d_buf != nullptr
             ? std::string_view(static_cast<const char*>(data->d_buf), data->d_size)
             : std::string_view();
}

void read_notes(Elf_Data* data, std::string& package_note) {
  const std::string_view bytes = bytes_of(data);
  GElf_Nhdr header;
  size_t name = 0, description = 0;
  for (size_t offset = 0; package_note.empty() && !bytes.empty();) {
    offset = gelf_getnote(data, offset, &header, &name, &description);
    if (offset == 0) {
      return;
    }
    const std::string_view owner = bytes.substr(name, header.n_namesz);
    if (header.n_type == kPackageNote && header.n_descsz <= kLongestNote &&
        owner.substr(0, owner.find('\0')) == kPackageNoteOwner) {
      const std::string_view json = bytes.substr(description, header.n_descsz);
      package_note = json.substr(0, json.find('\0'));
    }
  }
}

std::vector<std::string> distinct_strings(std::string_view bytes) {
  std::vector<std::string> strings;
  while (!bytes.empty() && strings.size() < kMostCompilers) {
    const std::string_view text = bytes.substr(0, bytes.find('\0'));
    if (!text.empty() && text.size() <= kLongestCompiler &&
        std::find(strings.begin(), strings.end(), text) == strings.end()) {
      strings.emplace_back(text);
    }
    bytes.remove_prefix(std::min(bytes.size(), text.size() + 1));
  }
  return strings;
}

std::vector<std::string> defined_versions(Elf* elf, Elf_Data* data, size_t strings) {
  std::vector<std::string> names;
  size_t offset = 0;
  for (size_t i = 0; i < kMostVersions; ++i) {
    GElf_Verdef definition;
    GElf_Verdaux name;
    if (gelf_getverdef(data, static_cast<int>(offset), &definition) == nullptr ||
        definition.vd_aux > data->d_size || definition.vd_next > data->d_size) {
      break;
    }
    const bool is_base = (definition.vd_flags & VER_FLG_BASE) != 0;  // the name of the file
    if (!is_base && gelf_getverdaux(data, static_cast<int>(offset + definition.vd_aux), &name)) {
      const char* text = elf_strptr(elf, strings, name.vda_name);
      const std::string_view version = text != nullptr ? text : "";
      if (!version.empty() && version.size() <= kLongestVersion) {
        names.emplace_back(version);
      }
    }
    offset += definition.vd_next;
    if (definition.vd_next == 0 || offset > data->d_size) {
      break;
    }
  }
  return names;
}

// "FOO_1.10" is {"FOO_", {1, 10}}.
std::pair<std::string_view, std::vector<uint64_t>> family_and_numbers(std::string_view name) {
  const size_t last = name.find_last_not_of("0123456789.");
  const size_t digits = last == std::string_view::npos ? 0 : last + 1;
  std::vector<uint64_t> numbers;
  for (std::string_view rest = name.substr(digits); !rest.empty();) {
    uint64_t number = 0;
    const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), number);
    numbers.push_back(number);
    rest.remove_prefix(static_cast<size_t>(end - rest.data()));
    rest.remove_prefix(std::min(rest.size(), size_t{1}));
  }
  return {name.substr(0, digits), numbers};
}

}  // namespace

std::string highest_version(const std::vector<std::string>& names) {
  struct Family {
    size_t first = 0, members = 0;
    std::vector<uint64_t> numbers;
    const std::string* highest = nullptr;
  };
  std::map<std::string_view, Family> families;
  for (size_t i = 0; i < names.size(); ++i) {
    auto [family, numbers] = family_and_numbers(names[i]);
    if (numbers.empty()) {
      continue;  // GLIBC_PRIVATE and its like
    }
    Family& entry = families.try_emplace(family, Family{i, 0, {}, nullptr}).first->second;
    ++entry.members;
    if (entry.highest == nullptr || numbers > entry.numbers) {
      entry.numbers = std::move(numbers);
      entry.highest = &names[i];
    }
  }
  const Family* largest = nullptr;
  for (const auto& [name, family] : families) {
    if (largest == nullptr || family.members > largest->members ||
        (family.members == largest->members && family.first < largest->first)) {
      largest = &family;
    }
  }
  return largest != nullptr ? *largest->highest : std::string();
}

ElfOrigin read_origin(Elf* elf) {
  ElfOrigin origin;
  size_t names = 0;
  if (elf_getshdrstrndx(elf, &names) != 0) {
    return origin;
  }
  size_t sections = 0;
  for (Elf_Scn* section = elf_nextscn(elf, nullptr);
       section != nullptr && sections++ < kMostSections; section = elf_nextscn(elf, section)) {
    GElf_Shdr header;
    if (gelf_getshdr(section, &header) == nullptr) {
      continue;
    }
    const char* text = elf_strptr(elf, names, header.sh_name);
    const std::string_view name = text != nullptr ? text : "";
    if (header.sh_type == SHT_NOTE) {
      read_notes(elf_getdata(section, nullptr), origin.package_note);
    } else if (header.sh_type == SHT_PROGBITS && name == ".comment") {
      origin.compilers = distinct_strings(bytes_of(elf_rawdata(section, nullptr)));
    } else if (header.sh_type == SHT_GNU_verdef && origin.symbol_version.empty()) {
      if (Elf_Data* data = elf_getdata(section, nullptr)) {
        origin.symbol_version = highest_version(defined_versions(elf, data, header.sh_link));
      }
    }
  }
  return origin;
}

}  // namespace crashcrawler
