// Debug information alone, without the help of a symbol table.
#include "runner/unwind/debug_info.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "runner/unwind/elf_handles.h"
#include "tests/unit/unwind/programs.h"

namespace crashcrawler {
namespace {

using testing::EndsWith;
using testing::StartsWith;
using tests::crash_of;
using tests::LiveSnapshot;
using tests::marked_line;
using tests::program;

// What is known of the place where the program died. It has a fixed address: the pc is one in the file.
std::optional<DebugLocation> place_of_death(const std::string& name, const std::string& how) {
  const LiveSnapshot snapshot = crash_of(name, how);
  for (const auto& [key, file] : snapshot.files) {
    if (key.path == program(name)) {
      const ElfHandle elf = begin_elf(file.fd.get());
      const DwarfHandle dwarf = begin_dwarf(elf.get());
      return DebugInfo(dwarf.get()).find(snapshot.crash.threads.at(0).registers.rip);
    }
  }
  return std::nullopt;
}

TEST(DebugInfo, finds_functions_and_what_was_inlined) {
  for (const char* name : {"fixed_address", "static"}) {
    const auto found = place_of_death(name, "null_write");
    ASSERT_TRUE(found);
    EXPECT_EQ(found->function.linkage, "_ZN4shop5innerIiEEvPT_");
    EXPECT_EQ(found->function.readable, "void shop::inner<int>(int*)");
    EXPECT_EQ(found->location.line, marked_line("stacks.cpp", "inner"));
    ASSERT_EQ(found->inlines.size(), 2u);
    EXPECT_THAT(found->inlines[0].function, StartsWith("shop::(anonymous namespace)::put"));
    EXPECT_EQ(found->inlines[0].location.line, marked_line("stacks.cpp", "put"));
  }
}

TEST(DebugInfo, finds_functions_inside_of_functions) {
  const auto found = place_of_death("fixed_address", "local");
  ASSERT_TRUE(found);
  EXPECT_THAT(found->function.readable, testing::HasSubstr("Local::store"));
  EXPECT_EQ(found->location.line, marked_line("stacks.cpp", "local"));
}

TEST(DebugInfo, finds_nothing_in_files_without_it) {
  EXPECT_FALSE(DebugInfo(nullptr).find(0x401000));
  EXPECT_FALSE(place_of_death("static", "wild_jump"));
}

}  // namespace
}  // namespace crashcrawler
