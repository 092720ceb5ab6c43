// Files whose bytes were turned or cut off. Nothing about the names can be expected then, but every crash still has its
// thread, and its top frame lies in the right module at the right offset.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <iterator>
#include <random>
#include <utility>

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
  HostileFiles() { use("optimised"); }

  // The crashes that are added from now on are of this program.
  void use(const std::string& name) {
    name_ = name;
    original_ = crash_of(name, "null_write");
    Result<std::string> bytes = read_file(program(name));
    ASSERT_TRUE(bytes);
    bytes_ = std::move(*bytes);
  }

  // A crash like the original one, of a program whose file has these bytes. All others are not to be had.
  void add(const std::string& bytes) {
    RawCrash crash = original_.crash;
    crash.executable += std::to_string(crashes_.size());  // each is a program of its own
    for (Mapping& mapping : crash.mappings) {
      if (mapping.path == program(name_)) {
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
    wanted_.push_back({program(name_), true_offset()});
  }

  void expect_top_frames(bool offset_too) {
    UnwindLimits limits;
    limits.per_crash = std::chrono::seconds(5);
    limits.memory = size_t{1} << 30;
    const std::vector<Backtrace> backtraces = unwind(crashes_, files_, limits);
    ASSERT_EQ(backtraces.size(), crashes_.size());
    size_t named = 0, failed = 0;
    for (size_t i = 0; i < backtraces.size(); ++i) {
      const Backtrace& backtrace = backtraces[i];
      ASSERT_EQ(backtrace.threads.size(), 1u);
      ASSERT_FALSE(backtrace.threads[0].frames.empty());
      const Frame& top = backtrace.threads[0].frames[0];
      ASSERT_TRUE(top.module);
      EXPECT_EQ(backtrace.modules.at(*top.module).path, wanted_[i].first);
      if (offset_too) {
        EXPECT_EQ(top.module_offset, wanted_[i].second);
      }
      failed += backtrace.threads[0].stop_reason == "symbolisation failed";
      EXPECT_FALSE(backtrace.threads[0].stop_reason.empty());
      named += top.function == "void shop::inner<int>(int*)";
    }
    RecordProperty("crashes", static_cast<int>(backtraces.size()));
    RecordProperty("with_right_name", static_cast<int>(named));
    RecordProperty("brought_the_child_down", static_cast<int>(failed));
  }

  uint64_t true_offset() const {
    for (const Mapping& mapping : original_.crash.mappings) {
      if (mapping.path == program(name_)) {
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

  std::string name_;
  LiveSnapshot original_;
  std::string bytes_;
  PinnedFiles files_;
  std::vector<RawCrash> crashes_;
  std::vector<std::pair<std::string, uint64_t>> wanted_;  // path and offset of each top frame
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
  for (const char* name : {"optimised", "compressed", "mini_symbols"}) {
    use(name);
    for (size_t length = 0; length < bytes_.size();
         length += length < 1024 ? 16 : bytes_.size() / 240) {
      add(bytes_.substr(0, length));
    }
  }
  expect_top_frames(true);
}

// The numbers that lead somewhere: lengths, offsets, counts. What is too large leads out of the section, 0 and small ones
// back to where one came from.
TEST_F(HostileFiles, with_absurd_numbers_in_the_sections_that_are_read) {
  static constexpr std::string_view kRead[] = {
      ".eh_frame",         ".eh_frame_hdr",      ".debug_frame",
      ".debug_info",       ".debug_line",        ".debug_abbrev",
      ".debug_aranges",    ".debug_str_offsets", ".debug_rnglists",
      ".debug_addr",       ".debug_line_str",    ".gnu_debugdata",
      ".gnu_debugaltlink", ".note.gnu.build-id", ".note.package",
      ".gnu.version_d",    ".dynamic",           ".symtab",
      ".debug_ranges"};
  static constexpr uint64_t kNumbers[] = {0, 1, 0x7fffffff, 0xffffffff, 0xfffffff0, ~uint64_t{0}};
  size_t sections = 0;
  for (const char* name :
       {"optimised", "dwarf4", "compressed", "mini_symbols", "split", "debug_frame_only"}) {
    use(name);
    for (const Section& section : sections_of(bytes_)) {
      if (std::ranges::find(kRead, section.name) == std::end(kRead) || section.size < 16) {
        continue;
      }
      ++sections;
      for (size_t round = 0; round < 24; ++round) {
        const size_t place = round < 12 ? round * 4 : random_() % section.size;
        const uint64_t number = kNumbers[round % std::size(kNumbers)];
        const size_t length = std::min<size_t>(number == ~uint64_t{0} ? 8 : 4,
                                               section.size - std::min(place, section.size));
        std::string bytes = bytes_;
        std::memcpy(bytes.data() + section.offset + std::min(place, section.size), &number, length);
        add(bytes);
      }
    }
  }
  ASSERT_GT(sections, 40u);
  expect_top_frames(true);
}

// libdw opens the files that another one names with open(2), which waits at a FIFO for a writer.
TEST_F(HostileFiles, that_lead_to_a_fifo) {
  const tests::TemporaryFolder folder;
  const std::string fifo = folder.path() + "/f";
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
  for (const auto& [name, target] : {std::pair{"split", "split-stacks.dwo"},
                                     {"split_dwarf4", "split_dwarf4-stacks.dwo"},
                                     {"dwz", "dwz_common"}}) {
    if (::access(program(name).c_str(), R_OK) != 0) {
      continue;  // dwz is not everywhere
    }
    use(name);
    std::string bytes = bytes_;
    const std::string path = program(target);
    const size_t at = bytes.find(path);
    ASSERT_NE(at, std::string::npos) << name;
    ASSERT_GT(path.size(), fifo.size());
    // as long as the name that was there
    bytes.replace(at, path.size(),
                  folder.path() + std::string(path.size() - fifo.size() + 1, '/') + "f");
    add(bytes);
  }
  ASSERT_GE(crashes_.size(), 2u);
  UnwindLimits limits;
  limits.per_crash = std::chrono::seconds(5);
  for (const Backtrace& backtrace : unwind(crashes_, files_, limits)) {
    ASSERT_FALSE(backtrace.soft_errors.empty()) << tests::to_text(backtrace);
    EXPECT_THAT(backtrace.soft_errors[0], testing::HasSubstr("is no file"));
    EXPECT_EQ(backtrace.threads[0].frames.at(0).function, "void shop::inner<int>(int*)");
  }
}

TEST_F(HostileFiles, with_call_frames_of_another_machine) {
  std::string bytes = bytes_;
  bytes.at(offsetof(Elf64_Ehdr, e_machine)) = static_cast<char>(EM_AARCH64);
  add(bytes);
  expect_top_frames(true);
}

}  // namespace
}  // namespace crashcrawler
