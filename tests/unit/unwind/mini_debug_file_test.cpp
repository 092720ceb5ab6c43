// The symbol table in .gnu_debugdata, whole and damaged.
#include "runner/unwind/mini_debug_file.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "runner/base/file.h"
#include "runner/unwind/elf_image.h"
#include "tests/unit/unwind/elf_bytes.h"

namespace crashcrawler {
namespace {

using testing::HasSubstr;
using tests::bytes_of;
using tests::elf_in;
using tests::program;
using tests::section_of;

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

}  // namespace
}  // namespace crashcrawler
