// Compressed sections, whole and damaged: every cut and many turned bytes give a file or a reason.
#include "runner/unwind/inflated_file.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zstd.h>

#include <cstring>
#include <random>

#include "runner/unwind/debug_info.h"
#include "runner/unwind/elf_image.h"
#include "tests/unit/unwind/elf_bytes.h"

namespace crashcrawler {
namespace {

using testing::HasSubstr;
using tests::bytes_of;
using tests::elf_in;
using tests::section_of;

using Made = Result<std::unique_ptr<InflatedFile>>;
using Section = InflatedFile::Section;

std::string error_of(const Made& result) {
  return result ? "none" : result.error().message;
}

bool inflate_all(InflatedFile& file) {
  const bool info = file.inflate(Section::info, InflatedFile::kAll);
  return file.inflate(Section::line, InflatedFile::kAll) && info;
}

// What can be read when all of it was asked for.
std::string all_of(InflatedFile& file) {
  inflate_all(file);
  return std::string(file.bytes());
}

// An ELF file of one section that is compressed by zstd and claims to be `claimed` bytes long.
std::string one_section(const std::string& content, uint64_t claimed) {
  std::string packed(ZSTD_compressBound(content.size()), '\0');
  packed.resize(ZSTD_compress(packed.data(), packed.size(), content.data(), content.size(), 1));
  Elf64_Ehdr header{};
  std::memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = ELFCLASS64;
  header.e_ident[EI_DATA] = ELFDATA2LSB;
  header.e_ident[EI_VERSION] = EV_CURRENT;
  header.e_type = ET_DYN;
  header.e_machine = EM_X86_64;
  header.e_version = EV_CURRENT;
  header.e_ehsize = sizeof header;
  header.e_shentsize = sizeof(Elf64_Shdr);
  header.e_shnum = 2;
  header.e_shoff = sizeof header;
  Elf64_Chdr compressed{};
  compressed.ch_type = 2;
  compressed.ch_size = claimed;
  compressed.ch_addralign = 1;
  Elf64_Shdr section{};
  section.sh_type = SHT_PROGBITS;
  section.sh_flags = SHF_COMPRESSED;
  section.sh_offset = sizeof header + 2 * sizeof section;
  section.sh_size = sizeof compressed + packed.size();
  std::string file(section.sh_offset, '\0');
  std::memcpy(file.data(), &header, sizeof header);
  std::memcpy(file.data() + sizeof header + sizeof section, &section, sizeof section);
  file.append(reinterpret_cast<const char*>(&compressed), sizeof compressed);
  return file + packed;
}

TEST(InflatedFile, has_the_sections_as_they_were) {
  const std::string content(100000, 'x');
  std::string bytes = one_section(content, content.size());
  auto inflated = InflatedFile::of(elf_in(bytes).get(), bytes);
  ASSERT_TRUE(inflated) << error_of(inflated);
  ASSERT_TRUE(*inflated);
  std::string made = all_of(**inflated);
  const ElfHandle elf = elf_in(made);
  GElf_Shdr header;
  Elf_Scn* section = elf_getscn(elf.get(), 1);
  ASSERT_NE(gelf_getshdr(section, &header), nullptr);
  EXPECT_EQ(header.sh_flags, 0u);
  const Elf_Data* data = elf_getdata(section, nullptr);
  ASSERT_NE(data, nullptr);
  EXPECT_EQ(std::string(static_cast<const char*>(data->d_buf), data->d_size), content);
}

TEST(InflatedFile, leaves_other_files_alone) {
  std::string bytes = bytes_of("optimised");
  const auto inflated = InflatedFile::of(elf_in(bytes).get(), bytes);
  ASSERT_TRUE(inflated) << error_of(inflated);
  EXPECT_FALSE(*inflated);
}

TEST(InflatedFile, has_what_functions_and_lines_need) {
  std::string whole = bytes_of("optimised"), packed = bytes_of("compressed");
  auto inflated = InflatedFile::of(elf_in(packed).get(), packed);
  ASSERT_TRUE(inflated) << error_of(inflated);
  ASSERT_TRUE(*inflated);
  EXPECT_TRUE(inflate_all(**inflated));
  std::string all = all_of(**inflated);
  for (const char* name : {".debug_line", ".debug_abbrev", ".debug_rnglists"}) {
    const GElf_Shdr original = section_of(whole, name), made = section_of(all, name);
    EXPECT_EQ(all.substr(made.sh_offset, made.sh_size),
              whole.substr(original.sh_offset, original.sh_size))
        << name;
    EXPECT_EQ(made.sh_flags & SHF_COMPRESSED, 0u);
  }
  for (const char* name : {".debug_loclists", ".text"}) {
    EXPECT_EQ(section_of(all, name).sh_type, SHT_NOBITS) << name;
  }
}

TEST(InflatedFile, is_inflated_as_far_as_it_is_asked_for) {
  std::string whole = bytes_of("units_packed");
  const auto inflated = InflatedFile::of(elf_in(whole).get(), whole);
  ASSERT_TRUE(inflated && *inflated);
  std::string made((*inflated)->bytes());
  const GElf_Shdr info = section_of(made, ".debug_info");
  ASSERT_GT(info.sh_size, 200'000u);
  const auto readable = [&] {  // bytes up to the last that is not zero
    const std::string_view bytes = (*inflated)->bytes().substr(info.sh_offset, info.sh_size);
    return bytes.find_last_not_of('\0') + 1;
  };
  EXPECT_EQ(readable(), 0u);
  ASSERT_TRUE((*inflated)->inflate(Section::info, 1000));
  const size_t first = readable();
  EXPECT_GE(first, 1000u);
  EXPECT_LT(first, info.sh_size / 2);
  EXPECT_TRUE((*inflated)->inflate(Section::info, 500));
  EXPECT_EQ(readable(), first);
  EXPECT_TRUE((*inflated)->inflate(Section::info, InflatedFile::kAll));
  EXPECT_GT(readable(), info.sh_size - 64);
}

TEST(InflatedFile, of_a_damaged_section_is_an_error) {
  const std::string whole = bytes_of("compressed");
  for (const auto& [name, section] :
       {std::pair(".debug_info", Section::info), std::pair(".debug_line", Section::line)}) {
    std::string broken = whole;
    const GElf_Shdr header = section_of(broken, name);
    broken[header.sh_offset + sizeof(Elf64_Chdr) + 20] ^= 1;
    const Made file = InflatedFile::of(elf_in(broken).get(), broken);
    ASSERT_TRUE(file && *file) << error_of(file);
    EXPECT_FALSE((*file)->inflate(section, InflatedFile::kAll)) << name;
    EXPECT_FALSE((*file)->inflate(section, InflatedFile::kAll)) << name;
  }
  std::string broken = whole;
  const GElf_Shdr abbreviations = section_of(broken, ".debug_abbrev");
  broken[abbreviations.sh_offset + sizeof(Elf64_Chdr) + 20] ^= 1;
  EXPECT_EQ(error_of(InflatedFile::of(elf_in(broken).get(), broken)),
            "compressed sections: one cannot be decompressed");
  const GElf_Shdr lines = section_of(broken, ".debug_line");
  broken = whole;
  const uint64_t absurd = uint64_t{256} << 20;
  std::memcpy(broken.data() + lines.sh_offset + offsetof(Elf64_Chdr, ch_size), &absurd,
              sizeof absurd);
  EXPECT_EQ(error_of(InflatedFile::of(elf_in(broken).get(), broken)),
            "compressed sections: one cannot be as long as it says");
}

TEST(InflatedFile, does_not_believe_sizes) {
  const std::string content(1000, 'x');
  for (const uint64_t claimed : {uint64_t{999}, uint64_t{1001}}) {
    std::string bytes = one_section(content, claimed);
    EXPECT_THAT(error_of(InflatedFile::of(elf_in(bytes).get(), bytes)), HasSubstr("one cannot be"));
  }
  for (const uint64_t claimed : {uint64_t{1} << 40, ~uint64_t{0}}) {
    std::string bytes = one_section(content, claimed);
    EXPECT_THAT(error_of(InflatedFile::of(elf_in(bytes).get(), bytes)),
                HasSubstr("longer than anything"));
  }
}

// Addresses of the functions that the file defines.
std::vector<uint64_t> functions_in(Elf* elf) {
  std::vector<uint64_t> addresses;
  Elf_Scn* section = nullptr;
  while ((section = elf_nextscn(elf, section)) != nullptr) {
    GElf_Shdr header;
    gelf_getshdr(section, &header);
    Elf_Data* data = header.sh_type == SHT_SYMTAB ? elf_getdata(section, nullptr) : nullptr;
    GElf_Sym symbol;
    for (int i = 0; data != nullptr && gelf_getsym(data, i, &symbol) != nullptr; ++i) {
      if (GELF_ST_TYPE(symbol.st_info) == STT_FUNC && symbol.st_size > 0) {
        addresses.push_back(symbol.st_value + symbol.st_size / 2);
      }
    }
  }
  return addresses;
}

std::string text_of(const std::optional<DebugLocation>& found) {
  if (!found) {
    return "nothing";
  }
  std::string text = found->function.readable + "|" + found->function.linkage + "|" +
                     found->location.file + ":" + std::to_string(found->location.line);
  for (const InlinedFunction& inlined : found->inlines) {
    text += "|" + inlined.function + " " + inlined.location.file + ":" +
            std::to_string(inlined.location.line);
  }
  return text;
}

// Every address is asked of a file of which nothing has been inflated yet.
TEST(InflatedFile, says_the_same_as_one_that_was_never_compressed) {
  for (const std::string name : {"units", "units_lto", "units_types"}) {
    std::string whole = bytes_of(name), packed = bytes_of(name + "_packed");
    const ElfHandle elf = elf_in(whole), packed_elf = elf_in(packed);
    const DwarfHandle dwarf = begin_dwarf(elf.get());
    DebugInfo expected(dwarf.get());
    const std::vector<uint64_t> functions = functions_in(elf.get());
    ASSERT_GT(functions.size(), 20u);
    size_t known = 0;
    for (const uint64_t address : functions) {
      const Made inflated = InflatedFile::of(packed_elf.get(), packed);
      ASSERT_TRUE(inflated && *inflated) << error_of(inflated);
      std::string_view bytes = (*inflated)->bytes();
      const ElfHandle made(elf_memory(const_cast<char*>(bytes.data()), bytes.size()));
      const DwarfHandle made_dwarf = begin_dwarf(made.get());
      DebugInfo info(made_dwarf.get(), "", inflated->get());
      const std::optional<DebugLocation> wanted = expected.find(address);
      EXPECT_EQ(text_of(info.find(address)), text_of(wanted)) << name << std::hex << address;
      EXPECT_EQ(info.complaint(), "");
      known += wanted ? 1 : 0;
    }
    EXPECT_GT(known, 10u) << name;
  }
}

// The section is as long as its header says, with a checksum that fits, or it is an error; a part of it may be read before.
TEST(InflatedFile, tells_streams_of_another_length) {
  const std::string whole = bytes_of("units_packed");
  for (const int more : {-1, 1}) {
    std::string broken = whole;
    const uint64_t place =
        section_of(broken, ".debug_info").sh_offset + offsetof(Elf64_Chdr, ch_size);
    uint64_t size = 0;
    std::memcpy(&size, broken.data() + place, sizeof size);
    size += static_cast<uint64_t>(more);
    std::memcpy(broken.data() + place, &size, sizeof size);
    const Made file = InflatedFile::of(elf_in(broken).get(), broken);
    ASSERT_TRUE(file && *file) << error_of(file);
    EXPECT_TRUE((*file)->inflate(Section::info, 100)) << more;
    EXPECT_FALSE((*file)->inflate(Section::info, InflatedFile::kAll)) << more;
  }
}

TEST(InflatedFile, survives_turned_bytes_in_what_is_inflated_on_demand) {
  std::string whole = bytes_of("compressed");
  const GElf_Shdr info = section_of(whole, ".debug_info");
  const Made whole_file = InflatedFile::of(elf_in(whole).get(), whole);
  ASSERT_TRUE(whole_file && *whole_file);
  const std::string expected = all_of(**whole_file);
  std::mt19937 random(1);
  for (int round = 0; round < 3000; ++round) {
    std::string broken = whole;
    broken[info.sh_offset + sizeof(Elf64_Chdr) + random() % (info.sh_size - sizeof(Elf64_Chdr))] ^=
        static_cast<char>(1u << random() % 8);
    const Made file = InflatedFile::of(elf_in(broken).get(), broken);
    ASSERT_TRUE(file && *file) << error_of(file);
    // The checksum says so, if nothing else; a few bits of the stream's header mean nothing.
    EXPECT_TRUE(!inflate_all(**file) || (*file)->bytes() == expected);
  }
}

TEST(InflatedFile, survives_every_cut_and_turned_bytes) {
  const std::string whole = one_section(std::string(1000, 'x'), 1000);
  for (size_t length = 0; length < whole.size(); ++length) {
    std::string cut = whole.substr(0, length);
    const ElfHandle elf = elf_in(cut);
    if (elf) {
      const auto inflated = InflatedFile::of(elf.get(), cut);
      EXPECT_TRUE(!inflated || !*inflated || (*inflated)->bytes().size() >= sizeof(Elf64_Ehdr));
    }
  }
  std::mt19937 random(1);
  for (int round = 0; round < 5000; ++round) {
    std::string broken = whole;
    broken[random() % broken.size()] = static_cast<char>(random());
    const ElfHandle elf = elf_in(broken);
    if (elf) {
      const auto inflated = InflatedFile::of(elf.get(), broken);
      EXPECT_TRUE(!inflated || !*inflated || (*inflated)->bytes().size() >= sizeof(Elf64_Ehdr));
    }
  }
}

}  // namespace
}  // namespace crashcrawler
