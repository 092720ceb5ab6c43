// Symbol tables alone and together with debug information, on programs whose functions are found by their names.
#include "runner/unwind/symbolizer.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <map>

#include "runner/unwind/elf_handles.h"
#include "tests/unit/unwind/programs.h"

namespace crashcrawler {
namespace {

using tests::program;

class File {
 public:
  explicit File(const std::string& name)
      : fd_(::open(program(name).c_str(), O_RDONLY | O_CLOEXEC)),
        elf(begin_elf(fd_.get())),
        dwarf(begin_dwarf(elf.get())) {}

  // Of the symbol `name`, from the table itself.
  GElf_Sym symbol(const std::string& name) const {
    Elf_Scn* section = nullptr;
    while ((section = elf_nextscn(elf.get(), section)) != nullptr) {
      GElf_Shdr header;
      gelf_getshdr(section, &header);
      Elf_Data* data = header.sh_type == SHT_SYMTAB ? elf_getdata(section, nullptr) : nullptr;
      GElf_Sym found;
      for (int i = 0; data != nullptr && gelf_getsym(data, i, &found) != nullptr; ++i) {
        if (name == elf_strptr(elf.get(), header.sh_link, found.st_name)) {
          return found;
        }
      }
    }
    ADD_FAILURE() << "no symbol " << name;
    return {};
  }

 private:
  UniqueFd fd_;

 public:
  ElfHandle elf;
  DwarfHandle dwarf;
};

TEST(SymbolTable, respects_sizes) {
  const File file("only_symbols");
  const SymbolTable table({file.elf.get()});
  const GElf_Sym middle = file.symbol("_ZN4shop6middleEPi");
  ASSERT_GT(middle.st_size, 1u);
  for (const uint64_t offset : {uint64_t{0}, middle.st_size - 1}) {
    const auto found = table.find(middle.st_value + offset);
    ASSERT_TRUE(found);
    EXPECT_STREQ(found->name, "_ZN4shop6middleEPi");
    EXPECT_EQ(found->start, middle.st_value);
  }
  const auto behind = table.find(middle.st_value + middle.st_size);
  EXPECT_TRUE(!behind || std::string(behind->name) != "_ZN4shop6middleEPi");
  EXPECT_FALSE(table.find(0));
  EXPECT_FALSE(table.find(~uint64_t{0}));
}

TEST(SymbolTable, prefers_the_name_people_know) {
  const File file("static");
  const SymbolTable table({file.elf.get()});
  const std::pair<const char*, const char*> kAliases[] = {
      {"__libc_malloc", "malloc"}, {"gsignal", "raise"}, {"_sized", "sized_function"}};
  for (const auto& [alias, name] : kAliases) {
    const auto found = table.find(file.symbol(alias).st_value);
    ASSERT_TRUE(found);
    EXPECT_STREQ(found->name, name);
  }
}

TEST(SymbolTable, takes_symbols_without_size_up_to_the_next) {
  const File file("optimised");
  const GElf_Sym init = file.symbol("_init");
  ASSERT_EQ(init.st_size, 0u);
  const SymbolTable table({file.elf.get()});
  const auto found = table.find(init.st_value + 1);
  ASSERT_TRUE(found);
  EXPECT_STREQ(found->name, "_init");
  const auto far = table.find(init.st_value + 0x1000);
  EXPECT_TRUE(!far || std::string(far->name) != "_init") << "it is another section's";
}

TEST(SymbolTable, does_not_stretch_a_label_over_another_function) {
  const File file("only_symbols");
  const SymbolTable table({file.elf.get()});
  const GElf_Sym function = file.symbol("sized_function");
  EXPECT_STREQ(table.find(function.st_value - 1)->name, "unsized_label");
  EXPECT_STREQ(table.find(function.st_value)->name, "sized_function");
  EXPECT_FALSE(table.find(function.st_value + function.st_size));
}

TEST(SymbolTable, uses_dynsym_when_there_is_no_symtab) {
  const File library("libshelf.so");
  EXPECT_TRUE(SymbolTable({library.elf.get(), nullptr}).find(library.symbol("shelf_put").st_value));
  const File stripped("with_library_stripped");
  const SymbolTable dynamic({stripped.elf.get()});
  const GElf_Sym exported = File("with_library").symbol("_Z11use_libraryv");
  const auto found = dynamic.find(exported.st_value);
  ASSERT_TRUE(found);
  EXPECT_STREQ(found->name, "_Z11use_libraryv");
}

TEST(Symbolizer, knows_every_function_by_both_sources) {
  for (const char* name : {"optimised", "plain", "clang", "dwarf4", "compressed"}) {
    const File file(name);
    Symbolizer symbolizer(file.elf.get(), nullptr, nullptr, DebugInfo(file.dwarf.get()));
    const std::map<std::string, std::string> functions = {
        {"_ZN4shop6middleEPi", "shop::middle(int*)"},
        {"_ZN4shop5innerIiEEvPT_", "void shop::inner<int>(int*)"},
        {"main", "main"}};
    for (const auto& [raw, readable] : functions) {
      const GElf_Sym symbol = file.symbol(raw);
      const ResolvedAddress& found = symbolizer.resolve(symbol.st_value);
      EXPECT_EQ(found.function, readable) << name;
      EXPECT_EQ(found.raw_function, raw) << name;
      EXPECT_EQ(found.function_start, symbol.st_value) << name;
      EXPECT_EQ(found.location.file, tests::source("stacks.cpp")) << name;
    }
  }
}

TEST(Symbolizer, answers_the_same_the_second_time) {
  const File file("optimised");
  Symbolizer symbolizer(file.elf.get(), nullptr, nullptr, DebugInfo(file.dwarf.get()));
  const uint64_t address = file.symbol("main").st_value;
  const ResolvedAddress* first = &symbolizer.resolve(address);
  EXPECT_EQ(&symbolizer.resolve(address), first);
}

TEST(Symbolizer, knows_nothing_outside_of_the_code) {
  const File file("optimised");
  Symbolizer symbolizer(file.elf.get(), nullptr, nullptr, DebugInfo(file.dwarf.get()));
  for (const uint64_t address : {uint64_t{0}, uint64_t{0x7fffffff}, ~uint64_t{0}}) {
    const ResolvedAddress& found = symbolizer.resolve(address);
    EXPECT_EQ(found.function, "");
    EXPECT_EQ(found.location.file, "");
    EXPECT_FALSE(found.function_start);
  }
}

}  // namespace
}  // namespace crashcrawler
