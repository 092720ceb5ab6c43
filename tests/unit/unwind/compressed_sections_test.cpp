// What is compressed in ELF files, whole and damaged: every cut and many turned bytes give a file or a reason.
#include "runner/unwind/compressed_sections.h"

#include <fcntl.h>
#include <gelf.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zstd.h>

#include <cstring>
#include <random>

#include "runner/base/file.h"
#include "runner/unwind/elf_handles.h"
#include "runner/unwind/elf_image.h"
#include "tests/unit/unwind/programs.h"

namespace crashcrawler {
namespace {

using testing::HasSubstr;
using tests::program;

std::string bytes_of(const std::string& name) {
  const Result<std::string> bytes = read_file(program(name));
  EXPECT_TRUE(bytes) << name;
  return bytes ? *bytes : "";
}

ElfHandle elf_in(std::string& bytes) {
  elf_version(EV_CURRENT);
  return ElfHandle(elf_memory(bytes.data(), bytes.size()));
}

// Where the section `name` lies in the file.
GElf_Shdr section_of(std::string& bytes, const std::string& name) {
  const ElfHandle elf = elf_in(bytes);
  size_t names = 0;
  elf_getshdrstrndx(elf.get(), &names);
  Elf_Scn* section = nullptr;
  while ((section = elf_nextscn(elf.get(), section)) != nullptr) {
    GElf_Shdr header;
    if (gelf_getshdr(section, &header) != nullptr &&
        name == elf_strptr(elf.get(), names, header.sh_name)) {
      return header;
    }
  }
  ADD_FAILURE() << "no section " << name;
  return {};
}

std::string error_of(const Result<std::optional<std::string>>& result) {
  return result ? "none" : result.error().message;
}

TEST(MiniDebugFile, is_an_elf_file_with_symbols) {
  std::string bytes = bytes_of("mini_symbols");
  auto mini = mini_debug_file(elf_in(bytes).get());
  ASSERT_TRUE(mini) << error_of(mini);
  ASSERT_TRUE(*mini);
  EXPECT_TRUE(has_section(elf_in(**mini).get(), ".symtab"));

  std::string without = bytes_of("optimised");
  mini = mini_debug_file(elf_in(without).get());
  ASSERT_TRUE(mini);
  EXPECT_FALSE(*mini);
}

TEST(MiniDebugFile, says_what_is_wrong_with_it) {
  const std::string whole = bytes_of("mini_symbols");
  std::string bytes = whole;
  const GElf_Shdr section = section_of(bytes, ".gnu_debugdata");
  bytes[section.sh_offset] ^= 1;
  EXPECT_THAT(error_of(mini_debug_file(elf_in(bytes).get())),
              HasSubstr(".gnu_debugdata: it cannot be decompressed"));
  std::mt19937 random(1);
  for (int round = 0; round < 300; ++round) {
    std::string broken = whole;
    broken[section.sh_offset + random() % section.sh_size] = static_cast<char>(random());
    const auto mini = mini_debug_file(elf_in(broken).get());
    EXPECT_TRUE(!mini || *mini);
  }
}

TEST(MiniDebugFile, names_functions) {
  const tests::LiveSnapshot snapshot = tests::crash_of("mini_symbols", "null_write");
  const Backtrace backtrace = tests::backtrace_of(snapshot);
  SCOPED_TRACE(tests::to_text(backtrace));
  EXPECT_TRUE(backtrace.soft_errors.empty());
  const auto& frames = backtrace.threads.at(0).frames;
  ASSERT_GE(frames.size(), 5u);
  EXPECT_EQ(frames[0].function, "void shop::inner<int>(int*)");
  EXPECT_EQ(frames[1].function, "shop::middle(int*)");
  EXPECT_EQ(frames[4].function, "main");
}

TEST(MiniDebugFile, that_is_damaged_is_told_of) {
  tests::LiveSnapshot snapshot = tests::crash_of("mini_symbols", "null_write");
  std::string bytes = bytes_of("mini_symbols");
  bytes[section_of(bytes, ".gnu_debugdata").sh_offset] ^= 1;
  const tests::TemporaryFolder folder;
  const std::string path = folder.path() + "/damaged";
  ASSERT_TRUE(write_file_atomically(path, bytes));
  for (auto& [key, file] : snapshot.files) {
    if (key.path == program("mini_symbols")) {
      file.fd.reset(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    }
  }
  const Backtrace backtrace = tests::backtrace_of(snapshot);
  ASSERT_EQ(backtrace.soft_errors.size(), 1u);
  EXPECT_THAT(backtrace.soft_errors[0], HasSubstr(".gnu_debugdata: it cannot be decompressed"));
  EXPECT_GE(backtrace.threads.at(0).frames.size(), 5u);
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

TEST(InflatedDebugFile, has_the_sections_as_they_were) {
  const std::string content(100000, 'x');
  std::string bytes = one_section(content, content.size());
  auto inflated = inflated_debug_file(elf_in(bytes).get(), bytes);
  ASSERT_TRUE(inflated) << error_of(inflated);
  ASSERT_TRUE(*inflated);
  const ElfHandle elf = elf_in(**inflated);
  GElf_Shdr header;
  Elf_Scn* section = elf_getscn(elf.get(), 1);
  ASSERT_NE(gelf_getshdr(section, &header), nullptr);
  EXPECT_EQ(header.sh_flags, 0u);
  const Elf_Data* data = elf_getdata(section, nullptr);
  ASSERT_NE(data, nullptr);
  EXPECT_EQ(std::string(static_cast<const char*>(data->d_buf), data->d_size), content);
}

TEST(InflatedDebugFile, leaves_other_files_alone) {
  std::string bytes = bytes_of("optimised");
  const auto inflated = inflated_debug_file(elf_in(bytes).get(), bytes);
  ASSERT_TRUE(inflated) << error_of(inflated);
  EXPECT_FALSE(*inflated);
}

TEST(InflatedDebugFile, has_what_functions_and_lines_need) {
  std::string whole = bytes_of("optimised"), packed = bytes_of("compressed");
  auto inflated = inflated_debug_file(elf_in(packed).get(), packed);
  ASSERT_TRUE(inflated) << error_of(inflated);
  ASSERT_TRUE(*inflated);
  for (const char* name : {".debug_line", ".debug_abbrev", ".debug_rnglists"}) {
    const GElf_Shdr original = section_of(whole, name), made = section_of(**inflated, name);
    EXPECT_EQ((*inflated)->substr(made.sh_offset, made.sh_size),
              whole.substr(original.sh_offset, original.sh_size))
        << name;
    EXPECT_EQ(made.sh_flags & SHF_COMPRESSED, 0u);
  }
  for (const char* name : {".debug_loclists", ".text"}) {
    EXPECT_EQ(section_of(**inflated, name).sh_type, SHT_NOBITS) << name;
  }
}

TEST(InflatedDebugFile, of_a_damaged_section_is_an_error) {
  const std::string whole = bytes_of("compressed");
  std::string broken = whole;
  const GElf_Shdr lines = section_of(broken, ".debug_line");
  broken[lines.sh_offset + sizeof(Elf64_Chdr) + 20] ^= 1;
  EXPECT_EQ(error_of(inflated_debug_file(elf_in(broken).get(), broken)),
            "compressed sections: one cannot be decompressed");
  broken = whole;
  const uint64_t absurd = uint64_t{256} << 20;
  std::memcpy(broken.data() + lines.sh_offset + offsetof(Elf64_Chdr, ch_size), &absurd,
              sizeof absurd);
  EXPECT_EQ(error_of(inflated_debug_file(elf_in(broken).get(), broken)),
            "compressed sections: one cannot be as long as it says");
}

TEST(InflatedDebugFile, does_not_believe_sizes) {
  const std::string content(1000, 'x');
  for (const uint64_t claimed : {uint64_t{999}, uint64_t{1001}}) {
    std::string bytes = one_section(content, claimed);
    EXPECT_THAT(error_of(inflated_debug_file(elf_in(bytes).get(), bytes)),
                HasSubstr("one cannot be"));
  }
  for (const uint64_t claimed : {uint64_t{1} << 40, ~uint64_t{0}}) {
    std::string bytes = one_section(content, claimed);
    EXPECT_THAT(error_of(inflated_debug_file(elf_in(bytes).get(), bytes)),
                HasSubstr("longer than anything"));
  }
}

TEST(InflatedDebugFile, survives_every_cut_and_turned_bytes) {
  const std::string whole = one_section(std::string(1000, 'x'), 1000);
  for (size_t length = 0; length < whole.size(); ++length) {
    std::string cut = whole.substr(0, length);
    const ElfHandle elf = elf_in(cut);
    if (elf) {
      const auto inflated = inflated_debug_file(elf.get(), cut);
      EXPECT_TRUE(!inflated || !*inflated || (*inflated)->size() >= sizeof(Elf64_Ehdr));
    }
  }
  std::mt19937 random(1);
  for (int round = 0; round < 5000; ++round) {
    std::string broken = whole;
    broken[random() % broken.size()] = static_cast<char>(random());
    const ElfHandle elf = elf_in(broken);
    if (elf) {
      const auto inflated = inflated_debug_file(elf.get(), broken);
      EXPECT_TRUE(!inflated || !*inflated || (*inflated)->size() >= sizeof(Elf64_Ehdr));
    }
  }
}

}  // namespace
}  // namespace crashcrawler
