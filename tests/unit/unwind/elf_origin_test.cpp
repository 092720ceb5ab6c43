#include "runner/unwind/elf_origin.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <random>

#include "runner/base/file.h"
#include "runner/base/unique_fd.h"
#include "runner/unwind/elf_handles.h"
#include "tests/unit/unwind/programs.h"

namespace crashcrawler {
namespace {

using tests::program;

ElfOrigin origin_of(const std::string& name) {
  const UniqueFd fd(::open(program(name).c_str(), O_RDONLY | O_CLOEXEC));
  const ElfHandle elf = begin_elf(fd.get());
  EXPECT_TRUE(elf) << name;
  return elf ? read_origin(elf.get()) : ElfOrigin();
}

TEST(ElfOrigin, knows_what_a_library_says_of_itself) {
  const ElfOrigin origin = origin_of("libversioned.so");
  EXPECT_EQ(origin.package_note,
            R"({"type":"rpm","name":"shelf","version":"1.4-2","architecture":"x86_64"})");
  EXPECT_EQ(origin.symbol_version, "SHELF_1.10");
  ASSERT_FALSE(origin.compilers.empty());
}

TEST(ElfOrigin, names_every_compiler_once) {
  // crt1.o is made by GCC, whatever compiles the program
  const ElfOrigin origin = origin_of("clang");
  ASSERT_EQ(origin.compilers.size(), 2u);
  EXPECT_NE((origin.compilers[0] + origin.compilers[1]).find("clang version"), std::string::npos);
  EXPECT_NE((origin.compilers[0] + origin.compilers[1]).find("GCC: "), std::string::npos);
}

TEST(ElfOrigin, is_silent_where_nothing_is_said) {
  const ElfOrigin origin = origin_of("optimised");
  EXPECT_EQ(origin.package_note, "");
  EXPECT_EQ(origin.symbol_version, "");
}

TEST(ElfOrigin, orders_versions_by_their_numbers) {
  EXPECT_EQ(highest_version({"FOO_1.9", "FOO_1.10", "FOO_1.2.5"}), "FOO_1.10");
  EXPECT_EQ(highest_version({"GLIBC_2.2.5", "GLIBC_2.36", "GLIBC_PRIVATE"}), "GLIBC_2.36");
  EXPECT_EQ(highest_version({"CXXABI_9", "GLIBCXX_3.4", "GLIBCXX_3.4.30"}), "GLIBCXX_3.4.30");
  EXPECT_EQ(highest_version({"B_1", "A_2"}), "B_1");
  EXPECT_EQ(highest_version({"FOO", "BAR_"}), "");
  EXPECT_EQ(highest_version({"X_99999999999999999999999999", "X_1.", "X_..1"}).substr(0, 2), "X_");
  EXPECT_EQ(highest_version({}), "");
}

TEST(ElfOrigin, survives_damaged_files) {
  const std::string whole = *read_file(program("libversioned.so"));
  std::mt19937 random(4);
  for (int round = 0; round < 3000; ++round) {
    std::string bytes = whole.substr(0, round % 3 == 0 ? random() % whole.size() : whole.size());
    for (int flips = 0; flips < 20 && !bytes.empty(); ++flips) {
      // the headers and tables that lead to the sections are at both ends
      const size_t at = random() % std::min<size_t>(bytes.size(), 4096);
      bytes[random() % 2 == 0 ? at : bytes.size() - 1 - at] = static_cast<char>(random());
    }
    const ElfHandle elf(elf_memory(bytes.data(), bytes.size()));
    if (elf) {
      EXPECT_LE(read_origin(elf.get()).package_note.size(), 16u << 10);
    }
  }
}

}  // namespace
}  // namespace crashcrawler
