#include "runner/unwind/modules.h"

#include <elf.h>
#include <fcntl.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include "runner/base/vdso.h"
#include "tests/unit/unwind/programs.h"

namespace crashcrawler {
namespace {

using tests::program;

constexpr size_t kBudget = size_t{1} << 30;

class Modules : public testing::Test {
 protected:
  // Maps a file as the loader would: every PT_LOAD of programs/`name`, at `bias`.
  void load(const std::string& name, uint64_t bias) {
    const UniqueFd fd(::open(program(name).c_str(), O_RDONLY | O_CLOEXEC));
    const ElfHandle elf = begin_elf(fd.get());
    size_t count = 0;
    elf_getphdrnum(elf.get(), &count);
    for (size_t i = 0; i < count; ++i) {
      GElf_Phdr segment;
      gelf_getphdr(elf.get(), static_cast<int>(i), &segment);
      if (segment.p_type == PT_LOAD) {
        Mapping& mapping = map(program(name), (segment.p_vaddr & ~uint64_t{4095}) + bias,
                               segment.p_offset & ~uint64_t{4095});
        mapping.end = (segment.p_vaddr + bias + segment.p_filesz + 4095) & ~uint64_t{4095};
        mapping.executable = (segment.p_flags & PF_X) != 0;
        mapping.writable = (segment.p_flags & PF_W) != 0;
      }
    }
  }

  Mapping& map(const std::string& path, uint64_t start, uint64_t offset) {
    Mapping mapping;
    mapping.path = path;
    mapping.inode = 1;
    mapping.start = start;
    mapping.end = start + 0x1000;
    mapping.file_offset = offset;
    mapping.readable = true;
    PinnedFile& pinned = files[file_key(mapping)];
    if (!pinned.fd) {
      pinned.fd.reset(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    }
    return crash.mappings.emplace_back(mapping);
  }

  ModuleMap modules() {
    std::sort(crash.mappings.begin(), crash.mappings.end(),
              [](const Mapping& a, const Mapping& b) { return a.start < b.start; });
    return ModuleMap(crash, files, *source);
  }

  void forget_files() { source = std::make_unique<NoImages>(); }

  RawCrash crash;
  PinnedFiles files;
  std::unique_ptr<ImageSource> source = std::make_unique<ImageCache>(files, kBudget);
};

TEST_F(Modules, know_their_place_and_identity) {
  load("libshelf.so", 0x7f0000000000);
  load("fixed_address", 0);
  const ModuleMap map = modules();
  ASSERT_EQ(map.modules().size(), 2u);
  const Module& fixed = map.modules()[0].module;
  EXPECT_EQ(fixed.path, program("fixed_address"));
  EXPECT_EQ(fixed.base, 0x400000u);
  EXPECT_EQ(fixed.load_bias, 0u);
  const Module& library = map.modules()[1].module;
  EXPECT_EQ(library.load_bias, 0x7f0000000000u);
  EXPECT_EQ(library.base, 0x7f0000000000u);
  EXPECT_EQ(library.end, crash.mappings.back().end);
  EXPECT_EQ(library.soname, "libshelf.so.1");
  EXPECT_EQ(library.build_id.size(), 40u);
  EXPECT_EQ(map.find(0x7f0000000000), 1u);
  EXPECT_EQ(map.find(0x401000), 0u);
  EXPECT_EQ(map.find(0x10), std::nullopt);
  EXPECT_TRUE(map.is_executable(0x401000));
  EXPECT_FALSE(map.is_executable(0x400000));
}

TEST_F(Modules, of_one_file_loaded_twice_are_two) {
  load("libshelf.so", 0x7f0000000000);
  load("libshelf.so", 0x7e0000000000);
  const ModuleMap map = modules();
  ASSERT_EQ(map.modules().size(), 2u);
  EXPECT_EQ(map.modules()[0].module.load_bias, 0x7e0000000000u);
  EXPECT_EQ(map.modules()[1].module.load_bias, 0x7f0000000000u);
  EXPECT_LT(map.modules()[0].module.end, 0x7f0000000000u);
}

// As lld lays files out: the read-only and the executable segment share a page of the file.
class SharedPage : public ImageSource {
 public:
  SharedPage() {
    Elf64_Ehdr header{};
    std::memcpy(header.e_ident, ELFMAG, SELFMAG);
    header.e_ident[EI_CLASS] = ELFCLASS64;
    header.e_ident[EI_DATA] = ELFDATA2LSB;
    header.e_ident[EI_VERSION] = EV_CURRENT;
    header.e_version = EV_CURRENT;
    header.e_type = ET_DYN;
    header.e_machine = EM_X86_64;
    header.e_ehsize = sizeof header;
    header.e_phoff = sizeof header;
    header.e_phentsize = sizeof(Elf64_Phdr);
    header.e_phnum = 2;
    Elf64_Phdr segments[2]{};
    segments[0] = {PT_LOAD, PF_R, 0, 0, 0, 0x5f0, 0x5f0, 0x1000};
    segments[1] = {PT_LOAD, PF_R | PF_X, 0x5f0, 0x15f0, 0x15f0, 0x800, 0x800, 0x1000};
    bytes_.assign(reinterpret_cast<const char*>(&header), sizeof header);
    bytes_.append(reinterpret_cast<const char*>(segments), sizeof segments);
    bytes_.resize(0x1000);
  }

  ImageResult file(const FileKey&) override {
    return ElfImage::in_memory(bytes_, "shared_page", DebugFileSearch());
  }
  ImageResult vdso(Architecture, uint64_t) override { return Error{"none"}; }

 private:
  std::string bytes_;
};

TEST_F(Modules, take_their_bias_from_the_executable_segment) {
  map("/lib/shared_page", 0x7f0000000000, 0);
  map("/lib/shared_page", 0x7f0000001000, 0).executable = true;
  source = std::make_unique<SharedPage>();
  const ModuleMap map = modules();
  ASSERT_EQ(map.modules().size(), 1u);
  EXPECT_EQ(map.modules()[0].module.load_bias, 0x7f0000000000u);
  EXPECT_EQ(map.modules()[0].module.base, 0x7f0000000000u);
  EXPECT_EQ(map.modules()[0].module.end, 0x7f0000002000u);
}

TEST_F(Modules, do_not_grow_by_a_mapping_of_the_same_file_as_data) {
  load("libshelf.so", 0x7f0000000000);
  map(program("libshelf.so"), 0x7f5000000000, 0);
  const ModuleMap map = modules();
  ASSERT_EQ(map.modules().size(), 1u);
  EXPECT_LT(map.modules()[0].module.end, 0x7f5000000000u);
  EXPECT_EQ(map.find(0x7f5000000000), std::nullopt);
}

TEST_F(Modules, are_elf_files_or_run) {
  map(tests::source("stacks.cpp"), 0x10000, 0);
  map("/nowhere/data", 0x20000, 0);
  map(program("libshelf.so"), 0x30000, 0);
  map("/nowhere/code", 0x40000, 0x5000).executable = true;
  map(tests::source("shelf.cpp"), 0x50000, 0).executable = true;
  const ModuleMap map = modules();
  ASSERT_EQ(map.modules().size(), 3u);
  EXPECT_EQ(map.modules()[0].module.path, program("libshelf.so"));
  EXPECT_EQ(map.modules()[1].module.path, "/nowhere/code");
  EXPECT_EQ(map.modules()[1].module.load_bias, 0x40000u - 0x5000u) << "a guess";
  EXPECT_FALSE(map.modules()[1].image);
  EXPECT_EQ(map.modules()[2].why_no_image, "it is not an ELF file");
}

TEST_F(Modules, are_put_together_without_their_files) {
  load("libshelf.so", 0x7f0000000000);
  load("libshelf.so", 0x7e0000000000);
  forget_files();
  const ModuleMap map = modules();
  ASSERT_EQ(map.modules().size(), 2u);
  EXPECT_EQ(map.modules()[0].module.load_bias, 0x7e0000000000u);
  EXPECT_EQ(map.modules()[1].module.load_bias, 0x7f0000000000u);
  EXPECT_EQ(map.modules()[1].module.base, 0x7f0000000000u);
  EXPECT_EQ(map.modules()[1].module.end, crash.mappings.back().end);
}

TEST_F(Modules, carry_what_happened_to_the_file) {
  map(program("optimised"), 0x10000, 0x1000).executable = true;
  crash.mappings.back().deleted = true;
  files[file_key(crash.mappings.back())].changed = true;
  const ModuleMap map = modules();
  ASSERT_EQ(map.modules().size(), 1u);
  EXPECT_TRUE(map.modules()[0].module.deleted);
  EXPECT_TRUE(map.modules()[0].module.changed_on_disk);
}

TEST_F(Modules, include_the_vdso) {
  const size_t size = own_vdso_bytes().size();
  if (size == 0) {
    GTEST_SKIP() << "this machine's kernel gives processes no vdso";
  }
  Mapping vdso;
  vdso.start = 0x7fff00001000;
  vdso.end = vdso.start + (size + 4095) / 4096 * 4096;
  vdso.readable = vdso.executable = true;
  crash.mappings = {vdso};
  crash.auxv = {{AT_SYSINFO_EHDR, vdso.start}};
  const ModuleMap map = modules();
  ASSERT_EQ(map.modules().size(), 1u);
  EXPECT_EQ(map.modules()[0].module.path, "[vdso]");
  EXPECT_EQ(map.modules()[0].module.load_bias, vdso.start);
  EXPECT_TRUE(map.modules()[0].image);
  AddressSpace memory(crash);
  map.add_code(memory);
  EXPECT_EQ(memory.read(vdso.start, 4),
            "\x7f"
            "ELF");
}

TEST_F(Modules, lend_their_code_but_not_their_data) {
  load("libshelf.so", 0x7f0000000000);
  const ModuleMap map = modules();
  AddressSpace memory(crash);
  map.add_code(memory);
  for (const Mapping& mapping : crash.mappings) {
    EXPECT_EQ(memory.read(mapping.start, 1).empty(), !mapping.executable);
  }
}

TEST_F(Modules, tell_which_stack_a_pointer_means) {
  Mapping stack;
  stack.start = 0x7ffe00010000;
  stack.end = 0x7ffe00020000;
  stack.readable = stack.writable = true;
  crash.mappings = {stack};
  const ModuleMap map = modules();
  ASSERT_NE(map.stack_of(0x7ffe00018000), nullptr);
  EXPECT_EQ(map.stack_of(0x7ffe00018000)->start, stack.start);
  ASSERT_NE(map.stack_of(0x7ffe0000fff8), nullptr) << "it ran over";
  EXPECT_EQ(map.stack_of(0x7ffe00020000), nullptr);
  EXPECT_EQ(map.stack_of(0x1000), nullptr);
}

}  // namespace
}  // namespace crashcrawler
