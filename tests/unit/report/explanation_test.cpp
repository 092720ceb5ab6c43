// What a reader gets to know of the fault beyond its address: regions, instructions, source, memory.
#include "runner/report/explanation.h"

#include <elf.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>

#include "runner/report/headline.h"
#include "runner/report/json_report.h"
#include "runner/report/regions.h"
#include "runner/report/register_memory.h"
#include "runner/report/text_report.h"
#include "tests/unit/report/sample.h"

namespace crashcrawler {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr uint64_t kStack = 0x7ffe00000000, kHeap = 0x600000, kMapped = 0x7f0000000000;

class Explanation : public ::testing::Test {
 protected:
  Explanation() : report_(null_write()) {
    map(kStack, kStack + 0x10000, "rw");
    map(kHeap, kHeap + 0x1000, "rw");
    map(kMapped, kMapped + 0x2000, "rw");
    report_.raw.heap_start = kHeap;
    report_.raw.heap_end = kHeap + 0x1000;
    registers().rsp = kStack + 0x1000;
    report_.backtrace.threads[1].registers.rsp = 0x7f1000003000;
  }

  void map(uint64_t start, uint64_t end, const std::string& access, const std::string& path = "") {
    Mapping mapping;
    mapping.start = start;
    mapping.end = end;
    mapping.readable = access.find('r') != std::string::npos;
    mapping.writable = access.find('w') != std::string::npos;
    mapping.executable = access.find('x') != std::string::npos;
    mapping.path = path;
    report_.raw.mappings.push_back(mapping);
    std::ranges::sort(report_.raw.mappings, {}, &Mapping::start);
  }
  Registers& registers() { return report_.backtrace.threads[0].registers; }
  std::string region(uint64_t address) { return region_in_words(report_, address); }
  std::string neighbour(uint64_t address) { return neighbour_in_words(report_, address); }
  std::string cause(int code, uint64_t address) {
    report_.raw.signal = {SIGSEGV, code, 0, address, 0, 0};
    return cause_in_words(report_);
  }
  void decode(const std::vector<MemoryAccess>& accesses) {
    Disassembly code;
    code.instructions = {{0x1000, "\x90", "nop"}, {0x1001, "\x89\x07", "mov [rdi], eax"}};
    code.current = 1;
    code.accesses = accesses;
    report_.backtrace.threads[0].frames[0].disassembly =
        std::make_shared<const Disassembly>(std::move(code));
  }

  CrashReport report_;
};

TEST_F(Explanation, NamesRegionsByWhatTheMapSays) {
  map(0x7f1000000000, 0x7f1000001000, "");
  map(0x7f1000001000, 0x7f1000009000, "rw");
  map(0x7f2000000000, 0x7f2000001000, "");
  map(0x7f3000000000, 0x7f3000002000, "rx");
  report_.raw.auxv = {{AT_SYSINFO_EHDR, 0x7f3000000000}};
  EXPECT_EQ(region(kStack), "the stack of thread 4711 (null_write)");
  EXPECT_EQ(region(kHeap + 8), "a 4096-byte heap mapping");
  EXPECT_EQ(region(kMapped), "an 8192-byte anonymous mapping");
  EXPECT_EQ(region(0x7f1000002000), "the stack of thread 4712 (worker)");
  EXPECT_EQ(region(0x7f1000000008), "the guard page of the stack of thread 4712 (worker)");
  EXPECT_EQ(region(0x7f2000000008), "memory without access rights");
  EXPECT_EQ(region(0x7f3000000010), "[vdso]");
  EXPECT_EQ(region(0x555500001139), "null_write+0x1139 (code)");
  EXPECT_EQ(region(0x1000), "");
}

TEST_F(Explanation, NamesTheNearestMemory) {
  map(0x7f2000000000, 0x7f2000001000, "r", "/usr/lib/libfoo.so");
  EXPECT_EQ(neighbour(kHeap + 0x1000), "right past a 4096-byte heap mapping");
  EXPECT_EQ(neighbour(kHeap + 0x1008), "8 bytes past a 4096-byte heap mapping");
  EXPECT_EQ(neighbour(kMapped - 1), "1 byte before an 8192-byte anonymous mapping");
  EXPECT_EQ(neighbour(0x7f2000000000 - 4), "4 bytes before libfoo.so's read-only data");
  EXPECT_EQ(neighbour(kStack - 8), "8 bytes before the stack of thread 4711 (null_write)");
  EXPECT_EQ(neighbour(kHeap), "") << "can be accessed";
  EXPECT_EQ(neighbour(kHeap + 0x1000 + (64 << 10)), "") << "far away";
  map(kMapped + 0x3000, kMapped + 0x4000, "rw");
  EXPECT_EQ(neighbour(kMapped + 0x2ff0), "16 bytes before a 4096-byte anonymous mapping");
  report_.raw.mappings.clear();
  EXPECT_EQ(neighbour(kHeap), "");
}

TEST_F(Explanation, OfTheCauseHasTheRegion) {
  map(0x7f1000000000, 0x7f1000001000, "");
  map(0x7f1000001000, 0x7f1000009000, "rw");
  EXPECT_EQ(cause(SEGV_MAPERR, kHeap + 0x1008),
            "nothing is mapped at address 0x601008 (8 bytes past a 4096-byte heap mapping)");
  EXPECT_EQ(cause(SEGV_ACCERR, 0x7f1000000ff8),
            "the mapping does not permit the access to address 0x7f1000000ff8 (the guard page of "
            "the stack of thread 4712 (worker))");
  map(0x7f2000000000, 0x7f2000001000, "");
  map(0x7f2000001000, 0x7f2000003000, "rw");
  EXPECT_EQ(cause(SEGV_ACCERR, 0x7f2000000ffc),
            "the mapping does not permit the access to address 0x7f2000000ffc (memory without "
            "access rights, 4 bytes before an 8192-byte anonymous mapping)");
  map(0x10000, 0x11000, "rw");
  EXPECT_EQ(cause(SEGV_MAPERR, 0x8), "nothing is mapped at address 0x8 (null pointer + 8)")
      << "a null pointer is no overrun";
}

TEST_F(Explanation, OfTheCauseHasTheAccessWhenItIsCertain) {
  decode({{0x8, 4, false, true}});
  EXPECT_EQ(cause(SEGV_MAPERR, 8),
            "nothing is mapped at address 0x8 (null pointer + 8), which it writes to");
  EXPECT_THAT(cause(SEGV_MAPERR, 11), HasSubstr(", which it writes to")) << "its last byte";
  EXPECT_THAT(cause(SEGV_MAPERR, 12), Not(HasSubstr("which")));
  EXPECT_THAT(cause(SEGV_MAPERR, 7), Not(HasSubstr("which")));
  decode({{0x8, 4, true, false}});
  EXPECT_THAT(cause(SEGV_MAPERR, 8), HasSubstr(", which it reads"));
  decode({{0x8, 4, true, true}});
  EXPECT_THAT(cause(SEGV_MAPERR, 8), HasSubstr(", which it reads and writes"));
  decode({{0x8, 4, true, false}, {0x8, 4, false, true}});
  EXPECT_THAT(cause(SEGV_MAPERR, 8), Not(HasSubstr("which"))) << "one of the two faulted";
  decode({});
  EXPECT_THAT(cause(SEGV_MAPERR, 8), Not(HasSubstr("which")));
}

TEST_F(Explanation, ShowsInstructions) {
  EXPECT_EQ(instructions_section(report_), "");
  decode({});
  EXPECT_EQ(instructions_section(report_),
            "\nInstructions\n"
            "    0x000000001000 90                            nop\n"
            " => 0x000000001001 89 07                         mov [rdi], eax\n");
}

TEST_F(Explanation, ShowsTheSource) {
  EXPECT_EQ(source_section(report_, kDirectory), "");
  report_.backtrace.threads[0].frames[0].inlines[0].location.text =
      std::make_shared<const SourceText>(SourceText{2, {"{", "\tx\x1b[31m\x01;", ""}, true});
  EXPECT_EQ(source_section(report_, kDirectory),
            "\nSource\n src/store.h:3 (the source is newer than the program)\n"
            "         2  {\n"
            " =>      3      x\\x01;\n"
            "         4\n");
}

TEST_F(Explanation, ShowsWhatRegistersPointTo) {
  registers().rdi = kHeap + 8;
  registers().rsi = kHeap + 0x800;
  report_.raw.memory = {{kHeap, "01234567hello\x01world"}};
  const std::string section = memory_section(report_);
  EXPECT_THAT(section, HasSubstr("      rdi a 4096-byte heap mapping\n"
                                 "          68656c6c6f01776f 726c64  |hello.world|\n"));
  EXPECT_THAT(section, HasSubstr("      rsi a 4096-byte heap mapping\n")) << "without bytes";
  EXPECT_THAT(section, Not(HasSubstr("rbx"))) << "points nowhere";
  EXPECT_THAT(section, Not(HasSubstr("eflags")));
}

TEST_F(Explanation, KeepsTheStackThatRegistersPointTo) {
  registers().rbp = kStack + 0x1020;
  registers().rbx = kStack + 0x2000;
  report_.raw.threads.resize(2);
  report_.raw.threads[0].stack = {
      {kStack + 0x1000, std::string(0x40, 'a') + std::string(0x40, 'b')}, {kStack + 0x2000, "end"}};
  report_.raw.threads[1].stack = report_.raw.threads[0].stack;
  report_.raw.memory = {{kStack + 0x3000, "x"}, {kHeap, "y"}};
  keep_memory_of_registers(report_);
  const std::vector<MemoryRange>& memory = report_.raw.memory;
  ASSERT_EQ(memory.size(), 4u);
  EXPECT_EQ(memory[0].address, kHeap);
  EXPECT_EQ(memory[1].address, kStack + 0x1000);
  EXPECT_EQ(memory[1].bytes, std::string(0x40, 'a') + std::string(0x20, 'b')) << "joined";
  EXPECT_EQ(memory[2].bytes, "end");
  const std::vector<PointedMemory> pointed = pointed_memory(report_);
  ASSERT_EQ(pointed.size(), 2u);
  EXPECT_THAT(pointed[0].registers, ElementsAre(testing::StrEq("rsp"), testing::StrEq("rbp")));
  EXPECT_THAT(pointed[1].registers, ElementsAre(testing::StrEq("rbx")));
}

TEST_F(Explanation, IsInTheRecordForPrograms) {
  decode({{0, 4, false, true}});
  report_.backtrace.threads[0].frames[0].location.text =
      std::make_shared<const SourceText>(SourceText{11, {"a", "b\x01\xff", "c"}, false});
  registers().rdi = kHeap;
  report_.raw.memory = {{kHeap, "\x01\xff"}};
  const std::string json = crash_json(report_, quiet_session());
  EXPECT_THAT(json, HasSubstr("\"access\": \"write\""));
  EXPECT_THAT(json, HasSubstr("\"text\": \"mov [rdi], eax\",\n       \"current\": true"));
  EXPECT_THAT(json, HasSubstr("\"first_line\": 11"));
  EXPECT_THAT(json, HasSubstr("b\\\\x01"));
  EXPECT_THAT(json, HasSubstr("\"bytes\": \"01ff\""));
  EXPECT_THAT(json, HasSubstr("\"region\": \"a 4096-byte heap mapping\""));
}

TEST_F(Explanation, IsPartOfTheTextReport) {
  decode({});
  registers().rdi = kHeap;
  const std::string text = crash_text(report_, quiet_session());
  EXPECT_THAT(text, HasSubstr("\nInstructions\n"));
  EXPECT_THAT(text, HasSubstr("\nWhat registers point to\n"));
}

}  // namespace
}  // namespace crashcrawler
