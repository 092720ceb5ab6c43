#include "runner/unwind/wire.h"

#include <gtest/gtest.h>

#include <random>

namespace crashcrawler {
namespace {

Backtrace full_backtrace() {
  Backtrace backtrace;
  ThreadBacktrace thread;
  thread.tid = 4711;
  thread.name = "worker";
  thread.crashed = true;
  thread.registers.rip = ~uint64_t{0};
  thread.registers.r15 = 15;
  thread.registers.gs_base = 1;
  thread.elided_frames = 300;
  thread.elided_after = 1;
  thread.stop_reason = "end of stack";
  Frame frame;
  frame.trust = Trust::scan;
  frame.instruction_addr = 0x7fff12345678;
  frame.module = 1;
  frame.module_offset = 0x1234;
  frame.function = "shop::put(int*)";
  frame.raw_function = "_ZN4shop3putEPi";
  frame.function_offset = 7;
  frame.location = {"/src/shop.cpp", 42, 9};
  frame.inlines = {{"a", "b", {"/src/a.h", 1, 2}}, {"c", "d", {"/src/c.h", 3, 4}}};
  frame.signal_frame = true;
  Interrupted interrupted;
  interrupted.signal = {11, -6, 1, 0x7fff00000000, 4712, 1000};
  interrupted.registers.rip = 0x401000;
  interrupted.registers.gs_base = 2;
  frame.interrupted = std::make_shared<const Interrupted>(interrupted);
  frame.disassembly = std::make_shared<const Disassembly>(
      Disassembly{{{0x401000, "\x90", "nop"}, {0x401001, "\xff", ""}}, 1, {{8, 4, true, false}}});
  frame.location.text = std::make_shared<const SourceText>(SourceText{41, {"a", "b", "c"}, true});
  frame.in_app = true;
  thread.frames = {frame, Frame{}};
  backtrace.threads = {thread, ThreadBacktrace{}};
  Module module;
  module.path = "/usr/lib/libshop.so";
  module.base = 0x7fff12340000;
  module.end = 0x7fff12350000;
  module.load_bias = 0x7fff12340000;
  module.build_id = "abcdef";
  module.soname = "libshop.so.1";
  module.package_note = R"({"name":"shop"})";
  module.symbol_version = "SHOP_1.4";
  module.compilers = {"GCC: 12", "clang version 14"};
  module.deleted = true;
  module.changed_on_disk = true;
  backtrace.modules = {Module{}, module};
  backtrace.soft_errors = {"one", "two", "one"};
  return backtrace;
}

void expect_same(const SourceLocation& a, const SourceLocation& b) {
  EXPECT_EQ(a.file, b.file);
  EXPECT_EQ(a.line, b.line);
  EXPECT_EQ(a.column, b.column);
  ASSERT_EQ(a.text == nullptr, b.text == nullptr);
  if (a.text) {
    EXPECT_EQ(a.text->first_line, b.text->first_line);
    EXPECT_EQ(a.text->lines, b.text->lines);
    EXPECT_EQ(a.text->newer_than_program, b.text->newer_than_program);
  }
}

TEST(Wire, brings_everything_over) {
  const Backtrace sent = full_backtrace();
  const Result<Backtrace> got = from_wire(to_wire(sent));
  ASSERT_TRUE(got);
  ASSERT_EQ(got->threads.size(), 2u);
  const ThreadBacktrace& a = sent.threads[0];
  const ThreadBacktrace& b = got->threads[0];
  EXPECT_EQ(b.tid, a.tid);
  EXPECT_EQ(b.name, a.name);
  EXPECT_EQ(b.crashed, a.crashed);
  EXPECT_EQ(b.registers.rip, a.registers.rip);
  EXPECT_EQ(b.registers.r15, a.registers.r15);
  EXPECT_EQ(b.registers.gs_base, a.registers.gs_base);
  EXPECT_EQ(b.elided_frames, a.elided_frames);
  EXPECT_EQ(b.elided_after, a.elided_after);
  EXPECT_EQ(b.stop_reason, a.stop_reason);
  ASSERT_EQ(b.frames.size(), 2u);
  EXPECT_EQ(b.frames[0].trust, Trust::scan);
  EXPECT_EQ(b.frames[0].instruction_addr, a.frames[0].instruction_addr);
  EXPECT_EQ(b.frames[0].module, 1u);
  EXPECT_EQ(b.frames[0].module_offset, a.frames[0].module_offset);
  EXPECT_EQ(b.frames[0].function, a.frames[0].function);
  EXPECT_EQ(b.frames[0].raw_function, a.frames[0].raw_function);
  EXPECT_EQ(b.frames[0].function_offset, a.frames[0].function_offset);
  expect_same(b.frames[0].location, a.frames[0].location);
  ASSERT_EQ(b.frames[0].inlines.size(), 2u);
  EXPECT_EQ(b.frames[0].inlines[1].function, "c");
  EXPECT_EQ(b.frames[0].inlines[1].raw_function, "d");
  expect_same(b.frames[0].inlines[1].location, a.frames[0].inlines[1].location);
  EXPECT_TRUE(b.frames[0].signal_frame);
  EXPECT_TRUE(b.frames[0].in_app);
  ASSERT_NE(b.frames[0].interrupted, nullptr);
  const RawSignal& signal = b.frames[0].interrupted->signal;
  EXPECT_EQ(signal.number, 11);
  EXPECT_EQ(signal.code, -6);
  EXPECT_EQ(signal.error, 1);
  EXPECT_EQ(signal.fault_address, 0x7fff00000000u);
  EXPECT_EQ(signal.sender_pid, 4712);
  EXPECT_EQ(signal.sender_uid, 1000u);
  EXPECT_EQ(b.frames[0].interrupted->registers.rip, 0x401000u);
  EXPECT_EQ(b.frames[0].interrupted->registers.gs_base, 2u);
  EXPECT_EQ(b.frames[1].interrupted, nullptr);
  ASSERT_NE(b.frames[0].disassembly, nullptr);
  const Disassembly& code = *b.frames[0].disassembly;
  ASSERT_EQ(code.instructions.size(), 2u);
  EXPECT_EQ(code.instructions[0].address, 0x401000u);
  EXPECT_EQ(code.instructions[0].bytes, "\x90");
  EXPECT_EQ(code.instructions[0].text, "nop");
  EXPECT_EQ(code.current, 1u);
  ASSERT_EQ(code.accesses.size(), 1u);
  EXPECT_EQ(code.accesses[0].address, 8u);
  EXPECT_EQ(code.accesses[0].size, 4u);
  EXPECT_TRUE(code.accesses[0].reads);
  EXPECT_FALSE(code.accesses[0].writes);
  EXPECT_EQ(b.frames[1].disassembly, nullptr);
  EXPECT_EQ(b.frames[1].module, std::nullopt);
  ASSERT_EQ(got->modules.size(), 2u);
  EXPECT_EQ(got->modules[1].path, sent.modules[1].path);
  EXPECT_EQ(got->modules[1].base, sent.modules[1].base);
  EXPECT_EQ(got->modules[1].end, sent.modules[1].end);
  EXPECT_EQ(got->modules[1].load_bias, sent.modules[1].load_bias);
  EXPECT_EQ(got->modules[1].build_id, "abcdef");
  EXPECT_EQ(got->modules[1].soname, "libshop.so.1");
  EXPECT_EQ(got->modules[1].package_note, R"({"name":"shop"})");
  EXPECT_EQ(got->modules[1].symbol_version, "SHOP_1.4");
  EXPECT_EQ(got->modules[1].compilers, (std::vector<std::string>{"GCC: 12", "clang version 14"}));
  EXPECT_TRUE(got->modules[1].deleted);
  EXPECT_TRUE(got->modules[1].changed_on_disk);
  EXPECT_EQ(got->soft_errors, sent.soft_errors);
}

TEST(Wire, sends_a_string_once) {
  Backtrace backtrace;
  backtrace.soft_errors.assign(100, std::string(1000, 'x'));
  EXPECT_LT(to_wire(backtrace).size(), 1500u);
}

TEST(Wire, refuses_every_cut) {
  const std::string bytes = to_wire(full_backtrace());
  for (size_t length = 0; length < bytes.size(); ++length) {
    EXPECT_FALSE(from_wire(std::string_view(bytes).substr(0, length))) << length;
  }
  EXPECT_FALSE(from_wire(bytes + "x"));
}

TEST(Wire, survives_any_bytes) {
  const std::string bytes = to_wire(full_backtrace());
  std::mt19937 random(1);
  for (int round = 0; round < 20000; ++round) {
    std::string broken = bytes;
    for (int flips = 0; flips < 3; ++flips) {
      broken[random() % broken.size()] = static_cast<char>(random());
    }
    const Result<Backtrace> got = from_wire(broken);
    if (got) {
      for (const ThreadBacktrace& thread : got->threads) {
        for (const Frame& frame : thread.frames) {
          ASSERT_TRUE(!frame.module || *frame.module < got->modules.size());
          ASSERT_LE(frame.trust, Trust::scan);
        }
      }
    }
  }
}

TEST(Wire, refuses_a_gap_behind_the_last_frame) {
  Backtrace backtrace = full_backtrace();
  backtrace.threads[0].elided_after = backtrace.threads[0].frames.size() + 1;
  EXPECT_FALSE(from_wire(to_wire(backtrace)));
}

TEST(Wire, refuses_counts_that_lie) {
  const std::string many_threads = "\xff\xff\xff\xff\xff\xff\xff\xff\x7f";
  EXPECT_FALSE(from_wire(many_threads));
  EXPECT_FALSE(from_wire(std::string(64, '\xff')));
}

TEST(Wire, refuses_to_blow_up_a_small_message) {
  Backtrace backtrace;
  backtrace.soft_errors.assign(300, std::string(1 << 20, 'x'));
  const std::string bytes = to_wire(backtrace);
  EXPECT_LT(bytes.size(), 2u << 20);
  EXPECT_FALSE(from_wire(bytes)) << "300 MiB of strings";
}

}  // namespace
}  // namespace crashcrawler
