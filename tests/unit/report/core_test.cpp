// The core file in bytes: what is where, what is left out, and what hostile files do to it.
#include <elf.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/procfs.h>

#include <cstring>
#include <filesystem>

#include "runner/base/file.h"
#include "runner/report/core_bytes.h"
#include "runner/report/core_file.h"
#include "runner/report/core_modules.h"
#include "runner/report/core_notes.h"
#include "runner/report/cores.h"
#include "runner/report/report.h"
#include "tests/support/temporary_directory.h"
#include "tests/unit/report/sample.h"

namespace crashcrawler {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr uint64_t kBase = 0x555500000000, kStack = 0x7ffe00001000;

// An executable of one page: DT_DEBUG in its .dynamic, which lies at 0x3000 and at 0x800 in the file.
std::string program_bytes() {
  Elf64_Ehdr header{};
  std::memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = ELFCLASS64;
  header.e_phoff = sizeof header;
  header.e_phentsize = sizeof(Elf64_Phdr);
  header.e_phnum = 2;
  Elf64_Phdr segments[2] = {};
  segments[0].p_type = PT_LOAD;
  segments[0].p_flags = PF_R | PF_W;
  segments[0].p_vaddr = 0x3000;
  segments[0].p_memsz = 0x1000;
  segments[1].p_type = PT_DYNAMIC;
  segments[1].p_vaddr = 0x3000;
  segments[1].p_offset = 0x800;
  segments[1].p_filesz = 3 * sizeof(Elf64_Dyn);
  Elf64_Dyn dynamic[3] = {};
  dynamic[0].d_tag = DT_NEEDED;
  dynamic[1].d_tag = DT_DEBUG;
  std::string bytes(0x1000, '\0');
  std::memcpy(bytes.data(), &header, sizeof header);
  std::memcpy(bytes.data() + sizeof header, segments, sizeof segments);
  std::memcpy(bytes.data() + 0x800, dynamic, sizeof dynamic);
  return bytes;
}

class Core : public testing::Test {
 protected:
  Core() : report_(null_write()) {
    RawCrash& raw = report_.raw;
    raw.auxv = {{AT_ENTRY, kBase + 0x1000}, {AT_BASE, 0x7f0000000000}};
    RawThread thread;
    thread.tid = 4711;
    thread.crashed = true;
    thread.stack = {{kStack, std::string(4096, 's')}};
    raw.threads = {thread};
    pin(program_bytes());
  }

  void pin(const std::string& bytes) {
    const std::string path = temporary_.write("program", bytes);
    files_[file_key(report_.raw.mappings[0])] = {UniqueFd(::open(path.c_str(), O_RDONLY)), "",
                                                 false};
  }

  std::string core() const {
    const Result<std::string> made = core_file(report_, files_);
    return made ? *made : "";
  }

  // The bytes that the core has at `address`, to the end of the piece; "": none.
  static std::string memory(const std::string& core, uint64_t address) {
    Elf64_Ehdr header;
    std::memcpy(&header, core.data(), sizeof header);
    for (unsigned i = 0; i < header.e_phnum; ++i) {
      Elf64_Phdr segment;
      std::memcpy(&segment, core.data() + header.e_phoff + i * sizeof segment, sizeof segment);
      if (segment.p_type == PT_LOAD && address >= segment.p_vaddr &&
          address < segment.p_vaddr + segment.p_filesz) {
        return core.substr(segment.p_offset + address - segment.p_vaddr,
                           segment.p_vaddr + segment.p_filesz - address);
      }
    }
    return "";
  }

  static uint64_t word(const std::string& bytes, size_t at) {
    uint64_t value = 0;
    std::memcpy(&value, bytes.data() + at, sizeof value);
    return value;
  }

  TemporaryDirectory temporary_;
  CrashReport report_;
  PinnedFiles files_;
};

TEST(CoreMemory, WhatIsThereAlreadyStays) {
  CoreMemory memory;
  memory.add(0x1010, "first", PF_R);
  memory.add(0x1000, std::string(0x20, 'x'), PF_W);
  memory.add_without_bytes(0x1000, 0x30, PF_X);
  memory.add(0x1012, "nothing", PF_W);
  ASSERT_EQ(memory.segments().size(), 4u);
  EXPECT_EQ(memory.segments().at(0x1000).bytes, std::string(0x10, 'x'));
  EXPECT_EQ(memory.segments().at(0x1010).bytes, "first");
  EXPECT_EQ(memory.segments().at(0x1015).bytes, std::string(0xb, 'x'));
  EXPECT_EQ(memory.segments().at(0x1020).size, 0x10u);
  EXPECT_EQ(memory.segments().at(0x1020).bytes, "");
}

TEST(CoreMemory, TheEndOfTheAddressSpaceIsNotPassed) {
  CoreMemory memory;
  memory.add_without_bytes(~uint64_t{0} - 1, 100, PF_R);
  memory.add(~uint64_t{0} - 5, "0123456789", PF_R);
  EXPECT_EQ(memory.segments().size(), 2u);
}

TEST_F(Core, BeginsWithItsMarkAndTheStatusOfTheCrashingThread) {
  const std::string bytes = core();
  const size_t mark = bytes.find(kCoreMark), owner = bytes.find("CORE");
  ASSERT_LT(mark, 100u);
  elf_prstatus status;
  std::memcpy(&status, bytes.data() + owner + 8, sizeof status);
  EXPECT_EQ(status.pr_cursig, SIGSEGV);
  EXPECT_EQ(status.pr_pid, 4711);
  EXPECT_EQ(status.pr_reg[16], 0x555500001139u) << "rip";
  EXPECT_EQ(status.pr_reg[19], 0x7ffe00001000u) << "rsp";
}

TEST_F(Core, HoldsTheStackAndTheMemoryOfRegisters) {
  report_.raw.memory = {{0x1234000, "pointed to"}};
  EXPECT_EQ(memory(core(), kStack), std::string(4096, 's'));
  EXPECT_EQ(memory(core(), 0x1234000), "pointed to");
  EXPECT_EQ(memory(core(), kBase).size(), 4096u) << "the first page, with the build-id";
}

TEST_F(Core, DebuggersAreLedToTheListOfModules) {
  const std::string bytes = core();
  const std::string dynamic = memory(bytes, kBase + 0x3000);
  ASSERT_EQ(dynamic.size(), 3 * sizeof(Elf64_Dyn));
  const uint64_t list = word(dynamic, sizeof(Elf64_Dyn) + 8);
  const std::string debug = memory(bytes, list);
  ASSERT_GT(debug.size(), 40u);
  EXPECT_EQ(word(debug, 0), 1u) << "r_version";
  const std::string first = memory(bytes, word(debug, 8));
  EXPECT_EQ(word(first, 0), kBase) << "l_addr";
  EXPECT_EQ(word(first, 16), kBase + 0x3000) << "l_ld";
  EXPECT_EQ(memory(bytes, word(first, 8))[0], '\0') << "the executable has no name";
  const std::string second = memory(bytes, word(first, 24));
  EXPECT_STREQ(memory(bytes, word(second, 8)).c_str(), "/usr/lib/x86_64-linux-gnu/libc.so.6");
  EXPECT_EQ(word(second, 24), 0u) << "the last: the vdso is found otherwise";
}

TEST_F(Core, TheListLiesWhereNothingPointsTo) {
  RawCrash& raw = report_.raw;
  raw.signal.fault_address = 0x10123;  // in the lowest page that may be mapped
  raw.threads[0].registers.rax = 0x13000;
  const std::string bytes = core();
  const uint64_t list = word(memory(bytes, kBase + 0x3000), sizeof(Elf64_Dyn) + 8);
  EXPECT_GT(list, 0x13fffu);
  EXPECT_EQ(memory(bytes, 0x10123), "");
  EXPECT_EQ(memory(bytes, 0x13000), "");
}

TEST_F(Core, ModulesThatWereReplacedGetANameThatNobodyFinds) {
  report_.backtrace.modules[1].changed_on_disk = true;
  EXPECT_THAT(core(), HasSubstr("/usr/lib/x86_64-linux-gnu/libc.so.6 (changed)"));
}

TEST_F(Core, OfTheEnvironmentOnlyWhatTheReportShowsIsKept) {
  RawCrash& raw = report_.raw;
  const std::string block("half=secret\0TZ=UTC\0TZX=secret\0PASSWORD=secret\0TZ", 47);
  raw.threads[0].stack = {{kStack, "argument" + std::string(1, '\0') + block + "=secret"}};
  raw.environment = {{"TZ", "UTC"}};
  raw.environment_start = kStack + 9;
  raw.environment_end = kStack + 9 + block.size();
  const std::string kept = memory(core(), kStack);
  EXPECT_THAT(kept, HasSubstr("argument"));
  EXPECT_THAT(kept, HasSubstr("TZ=UTC"));
  EXPECT_EQ(kept.find("secret"), kept.size() - 6) << "behind the block is something else";
  EXPECT_THAT(kept, Not(HasSubstr("PASSWORD")));

  raw.environment_start = kStack - 100;  // the stack was captured from the middle of a string on
  raw.threads[0].stack = {{kStack, std::string("TZ=secret\0TZ=UTC", 16)}};
  EXPECT_EQ(memory(core(), kStack), std::string(10, '\0') + "TZ=UTC");
}

TEST_F(Core, RelocatedSegmentsAreNotSaidToBeAsInTheFile) {
  RawCrash& raw = report_.raw;
  raw.mappings.push_back(raw.mappings[0]);
  raw.mappings[1].start = kBase + 0x3000;  // made read-only when it was relocated
  raw.mappings[1].end = kBase + 0x4000;
  const CoreModules modules(raw, report_.backtrace.modules, files_);
  EXPECT_FALSE(modules.shows_file(raw.mappings[1]));
  raw.mappings[1].start = kBase + 0x20000;
  raw.mappings[1].end = kBase + 0x21000;
  EXPECT_TRUE(modules.shows_file(raw.mappings[1]));
  raw.mappings[1].writable = true;
  EXPECT_FALSE(modules.shows_file(raw.mappings[1]));
}

TEST_F(Core, ProgramsCutAnywhereAndWithFlippedBytesAreSurvived) {
  const std::string whole = program_bytes();
  for (size_t length = 0; length < 0x900; length += 7) {
    pin(whole.substr(0, length));
    EXPECT_NE(core(), "") << length;
  }
  for (size_t at = 0; at < sizeof(Elf64_Ehdr) + 2 * sizeof(Elf64_Phdr); ++at) {
    std::string flipped = whole;
    flipped[at] = static_cast<char>(~flipped[at]);
    pin(flipped);
    EXPECT_NE(core(), "") << at;
    EXPECT_LT(core().size(), 256u << 10) << at;
  }
}

TEST_F(Core, A32BitProcessGetsA32BitCore) {
  report_.raw.architecture = Architecture::i386;
  const std::string bytes = core();
  EXPECT_EQ(bytes[EI_CLASS], ELFCLASS32);
  Elf32_Ehdr header;
  std::memcpy(&header, bytes.data(), sizeof header);
  EXPECT_EQ(header.e_machine, EM_386);
  const size_t owner = bytes.find("CORE");
  uint32_t size = 0;
  std::memcpy(&size, bytes.data() + owner - 8, sizeof size);
  EXPECT_EQ(size, 144u) << "struct elf_prstatus of i386";
}

TEST_F(Core, WithoutRegistersThereIsNone) {
  report_.backtrace.threads.clear();
  EXPECT_FALSE(core_file(report_, files_));
}

TEST_F(Core, OnesThatAKilledRunLeftAreKnownAsOurs) {
  const std::string directory = temporary_.path() + "/out";
  temporary_.write("out/crashes/0001-x.core", core());
  temporary_.write("out/crashes/0002-x.core", "of somebody else");
  ASSERT_TRUE(prepare_output_directory(directory));
  EXPECT_FALSE(std::filesystem::exists(directory + "/crashes/0001-x.core"));
  EXPECT_TRUE(std::filesystem::exists(directory + "/crashes/0002-x.core"));
}

TEST_F(Core, WhereItCannotBeWrittenTheCrashSaysSo) {
  Session session = quiet_session();
  session.crashes.push_back(std::move(report_));
  temporary_.write("out", "a file in its place");
  write_cores(session, files_, 1 << 20, temporary_.path() + "/out");
  EXPECT_TRUE(session.crashes[0].artifacts.empty());
  ASSERT_EQ(session.crashes[0].soft_errors.size(), 1u);
  EXPECT_THAT(session.crashes[0].soft_errors[0], HasSubstr("there is no core: cannot create"));
}

TEST_F(Core, TheArtifactTellsItsSize) {
  Session session = quiet_session();
  session.crashes.push_back(std::move(report_));
  write_cores(session, files_, 1 << 20, temporary_.path());
  ASSERT_EQ(session.crashes[0].artifacts.size(), 1u);
  const Artifact& artifact = session.crashes[0].artifacts[0];
  EXPECT_EQ(artifact.size, std::filesystem::file_size(temporary_.path() + "/" + artifact.path));
  EXPECT_EQ(artifact.sha256.size(), 64u);
}

}  // namespace
}  // namespace crashcrawler
