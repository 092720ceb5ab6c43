// Files whose bytes were turned or cut off. Nothing about the names can be expected then, but every crash still has its
// thread, and its top frame lies in the right module at the right offset.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <random>

#include "runner/base/file.h"
#include "runner/unwind/elf_handles.h"
#include "tests/unit/unwind/programs.h"

namespace crashcrawler {
namespace {

using tests::crash_of;
using tests::LiveSnapshot;
using tests::program;

struct Section {
  std::string name;
  size_t offset = 0, size = 0;
};

std::vector<Section> sections_of(const std::string& bytes) {
  std::vector<Section> sections;
  elf_version(EV_CURRENT);
  std::string copy = bytes;
  const ElfHandle elf(elf_memory(copy.data(), copy.size()));
  size_t names = 0;
  elf_getshdrstrndx(elf.get(), &names);
  Elf_Scn* section = nullptr;
  while ((section = elf_nextscn(elf.get(), section)) != nullptr) {
    GElf_Shdr header;
    if (gelf_getshdr(section, &header) != nullptr && header.sh_type != SHT_NOBITS) {
      sections.push_back(
          {elf_strptr(elf.get(), names, header.sh_name), header.sh_offset, header.sh_size});
    }
  }
  return sections;
}

class HostileFiles : public testing::Test {
 protected:
  HostileFiles() : original_(crash_of("optimised", "null_write")) {
    if (Result<std::string> bytes = read_file(program("optimised"))) {
      bytes_ = std::move(*bytes);
    }
  }

  // A crash like the original one, of a program whose file has these bytes. All others are not to be had.
  void add(const std::string& bytes) {
    RawCrash crash = original_.crash;
    crash.executable += std::to_string(crashes_.size());  // each is a program of its own
    for (Mapping& mapping : crash.mappings) {
      if (mapping.path == program("optimised")) {
        mapping.inode = 1000000 + crashes_.size();
        PinnedFile& file = files_[file_key(mapping)];
        if (!file.fd) {
          file.fd.reset(::memfd_create("hostile", MFD_CLOEXEC));
          ASSERT_EQ(::write(file.fd.get(), bytes.data(), bytes.size()),
                    static_cast<ssize_t>(bytes.size()));
        }
      }
    }
    crashes_.push_back(std::move(crash));
  }

  void expect_top_frames(bool offset_too) {
    UnwindLimits limits;
    limits.per_crash = std::chrono::seconds(5);
    limits.memory = size_t{1} << 30;
    const std::vector<Backtrace> backtraces = unwind(crashes_, files_, limits);
    ASSERT_EQ(backtraces.size(), crashes_.size());
    size_t named = 0;
    for (const Backtrace& backtrace : backtraces) {
      ASSERT_EQ(backtrace.threads.size(), 1u);
      ASSERT_FALSE(backtrace.threads[0].frames.empty());
      const Frame& top = backtrace.threads[0].frames[0];
      ASSERT_TRUE(top.module);
      EXPECT_EQ(backtrace.modules.at(*top.module).path, program("optimised"));
      if (offset_too) {
        EXPECT_EQ(top.module_offset, true_offset());
      }
      EXPECT_FALSE(backtrace.threads[0].stop_reason.empty());
      named += top.function == "void shop::inner<int>(int*)";
    }
    RecordProperty("crashes", static_cast<int>(backtraces.size()));
    RecordProperty("with_right_name", static_cast<int>(named));
  }

  uint64_t true_offset() const {
    for (const Mapping& mapping : original_.crash.mappings) {
      if (mapping.path == program("optimised")) {
        return original_.crash.threads[0].registers.rip - mapping.start;  // PIE: first at 0
      }
    }
    return 0;
  }

  std::string with_turned_bytes(size_t offset, size_t size, int count) {
    std::string bytes = bytes_;
    for (int i = 0; i < count; ++i) {
      bytes.at(offset + random_() % size) = static_cast<char>(random_());
    }
    return bytes;
  }

  LiveSnapshot original_;
  std::string bytes_;
  PinnedFiles files_;
  std::vector<RawCrash> crashes_;
  std::mt19937 random_{20};
};

TEST_F(HostileFiles, with_turned_bytes_in_any_section) {
  for (const Section& section : sections_of(bytes_)) {
    for (int round = 0; round < 16 && section.size > 0; ++round) {
      add(with_turned_bytes(section.offset, section.size, round < 8 ? 2 : 200));
    }
  }
  ASSERT_GT(crashes_.size(), 400u);
  expect_top_frames(true);
}

TEST_F(HostileFiles, with_turned_bytes_in_the_headers) {
  GElf_Ehdr header;
  {
    std::string copy = bytes_;
    const ElfHandle elf(elf_memory(copy.data(), copy.size()));
    ASSERT_NE(gelf_getehdr(elf.get(), &header), nullptr);
  }
  const size_t phdrs = size_t{header.e_phnum} * header.e_phentsize;
  const size_t shdrs = size_t{header.e_shnum} * header.e_shentsize;
  for (int round = 0; round < 60; ++round) {
    add(with_turned_bytes(0, sizeof(Elf64_Ehdr), 2));
    add(with_turned_bytes(header.e_phoff, phdrs, 4));
    add(with_turned_bytes(header.e_shoff, shdrs, 8));
  }
  expect_top_frames(false);
}

TEST_F(HostileFiles, that_were_cut_off) {
  for (size_t length = 0; length < bytes_.size(); length += bytes_.size() / 120) {
    add(bytes_.substr(0, length));
  }
  expect_top_frames(true);
}

TEST_F(HostileFiles, with_call_frames_of_another_machine) {
  std::string bytes = bytes_;
  bytes.at(offsetof(Elf64_Ehdr, e_machine)) = static_cast<char>(EM_AARCH64);
  add(bytes);
  expect_top_frames(true);
}

}  // namespace
}  // namespace crashcrawler
