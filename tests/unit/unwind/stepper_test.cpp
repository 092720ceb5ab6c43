// Walks over the stacks of programs that died for this.
#include "runner/unwind/stepper.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "tests/unit/unwind/programs.h"
#include "tests/unit/unwind/walk.h"

namespace crashcrawler {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::StartsWith;
using tests::crash_of;
using tests::kInner;
using tests::kMiddle;
using tests::kOuter;
using tests::kRun;
using tests::LiveSnapshot;
using tests::place_of_word;
using tests::set_stack;
using tests::Walk;

TEST(Stepper, follows_tables_to_the_end_of_the_stack) {
  for (const char* name : {"optimised", "plain", "fixed_address", "static", "clang", "stripped",
                           "debug_frame_only", "compressed"}) {
    const Walk walk(crash_of(name, "null_write"));
    SCOPED_TRACE(name);
    ASSERT_GE(walk.result.frames.size(), 7u);
    if (std::string(name) != "stripped") {
      EXPECT_THAT(walk.functions(5), ElementsAre(kInner, kMiddle, kOuter, kRun, "main"));
      EXPECT_EQ(walk.function(walk.result.frames.size() - 1), "_start");
    }
    EXPECT_EQ(walk.result.frames[0].trust, Trust::context);
    for (size_t i = 1; i < walk.result.frames.size(); ++i) {
      EXPECT_EQ(walk.result.frames[i].trust, Trust::cfi) << i;
      EXPECT_EQ(walk.result.frames[i].lookup, walk.result.frames[i].pc - 1) << i;
    }
    EXPECT_EQ(walk.result.stop_reason, "end of stack");
    EXPECT_THAT(walk.result.soft_errors, IsEmpty());
  }
}

TEST(Stepper, follows_frame_pointers_where_there_is_no_table) {
  const Walk walk(crash_of("frame_pointers", "null_write"));
  EXPECT_THAT(walk.functions(5), ElementsAre(kInner, kMiddle, kOuter, kRun, "main"));
  EXPECT_THAT(walk.trusts(5),
              ElementsAre(Trust::context, Trust::frame_pointer, Trust::frame_pointer,
                          Trust::frame_pointer, Trust::frame_pointer));
  EXPECT_EQ(walk.result.stop_reason, "end of stack");
}

TEST(Stepper, scans_where_there_is_neither) {
  const Walk walk(crash_of("no_table", "null_write"));
  EXPECT_THAT(walk.functions(5), ElementsAre(kInner, kMiddle, kOuter, kRun, "main"));
  EXPECT_THAT(walk.trusts(5),
              ElementsAre(Trust::context, Trust::scan, Trust::scan, Trust::scan, Trust::scan));
  EXPECT_EQ(walk.result.stop_reason, "end of stack");
}

TEST(Stepper, returns_from_calls_of_what_is_no_code) {
  for (const char* how : {"null_call", "wild_jump"}) {
    for (const char* name : {"optimised", "plain"}) {
      SCOPED_TRACE(std::string(name) + " " + how);
      const Walk walk(crash_of(name, how));
      ASSERT_GE(walk.result.frames.size(), 4u);
      EXPECT_EQ(walk.result.frames[0].pc, std::string(how) == "null_call" ? 0u : 0x123456u);
      EXPECT_THAT(walk.functions(4), ElementsAre("?", "shop::call_target()", kRun, "main"));
      EXPECT_THAT(walk.trusts(4),
                  ElementsAre(Trust::context, Trust::frame_pointer, Trust::cfi, Trust::cfi));
    }
  }
}

TEST(Stepper, steps_out_of_signal_handlers) {
  const Walk walk(crash_of("optimised", "handler", SIGABRT));
  const size_t trampoline = walk.signal_frame();
  ASSERT_LT(trampoline + 4, walk.result.frames.size());
  EXPECT_EQ(walk.function(trampoline - 1), "shop::on_segv(int)");
  EXPECT_EQ(walk.function(trampoline), "__restore_rt");
  EXPECT_EQ(walk.function(trampoline + 1), kInner);
  const WalkedFrame& interrupted = walk.result.frames[trampoline + 1];
  EXPECT_EQ(interrupted.lookup, interrupted.pc) << "it did not call: its pc is exact";
  EXPECT_EQ(walk.function(trampoline + 2), kMiddle);
  EXPECT_EQ(walk.result.stop_reason, "end of stack");
}

TEST(Stepper, knows_a_trampoline_that_it_cannot_leave) {
  LiveSnapshot snapshot = crash_of("optimised", "handler", SIGABRT);
  const Walk whole(snapshot);
  const size_t trampoline = whole.signal_frame();
  ASSERT_LT(trampoline, whole.result.frames.size());
  const uint64_t place = place_of_word(snapshot, whole.result.frames[trampoline].pc);
  MemoryRange& range = snapshot.crash.threads[0].stack.at(0);
  range.bytes.resize(place + 8 - range.address);  // without the registers that the kernel saved
  const Walk walk(snapshot);
  EXPECT_EQ(walk.result.frames.size(), trampoline + 1);
  EXPECT_EQ(walk.signal_frame(), trampoline);
  EXPECT_THAT(walk.result.stop_reason, StartsWith("no memory at 0x7ff"));
}

TEST(Stepper, looks_at_the_first_instruction_of_a_trampoline) {
  const Walk walk(crash_of("optimised", "own_trampoline", SIGABRT));
  const size_t trampoline = walk.signal_frame();
  EXPECT_EQ(walk.function(trampoline), "own_trampoline");
  EXPECT_EQ(walk.function(trampoline + 1), kInner);
  EXPECT_EQ(walk.function(trampoline + 2), kMiddle);
}

TEST(Stepper, knows_a_trampoline_by_its_code) {
  for (const char* name : {"unmarked_trampoline", "bare_trampoline"}) {
    SCOPED_TRACE(name);
    LiveSnapshot snapshot = crash_of("optimised", name, SIGABRT);
    const Walk walk(snapshot);
    const size_t trampoline = walk.signal_frame();
    ASSERT_LT(trampoline + 4, walk.result.frames.size());
    EXPECT_EQ(walk.function(trampoline - 1), "shop::on_segv(int)");
    EXPECT_EQ(walk.function(trampoline), name);
    EXPECT_EQ(walk.function(trampoline + 1), kInner);
    EXPECT_EQ(walk.result.frames[trampoline + 1].trust, Trust::context);
    EXPECT_EQ(walk.result.frames[trampoline + 1].lookup, walk.result.frames[trampoline + 1].pc);
    EXPECT_EQ(walk.function(trampoline + 2), kMiddle);
    EXPECT_EQ(walk.result.stop_reason, "end of stack");

    const uint64_t place = place_of_word(snapshot, walk.result.frames[trampoline].pc);
    MemoryRange& range = snapshot.crash.threads[0].stack.at(0);
    range.bytes.resize(place + 64 - range.address);  // not all of the registers
    const Walk cut(snapshot);
    EXPECT_EQ(cut.result.frames.size(), trampoline + 1);
    EXPECT_EQ(cut.signal_frame(), trampoline);
    EXPECT_EQ(cut.result.frames.back().interrupted, nullptr);
    EXPECT_EQ(cut.result.stop_reason, "no memory at " + hex(place + 8));
  }
}

TEST(Stepper, reads_what_a_handler_interrupted) {
  const Walk walk(crash_of("optimised", "handler_with_siginfo", SIGABRT));
  const size_t trampoline = walk.signal_frame();
  ASSERT_LT(trampoline + 1, walk.result.frames.size());
  const auto& interrupted = walk.result.frames[trampoline].interrupted;
  ASSERT_NE(interrupted, nullptr);
  EXPECT_EQ(interrupted->signal.number, SIGSEGV);
  EXPECT_EQ(interrupted->signal.code, SEGV_MAPERR);
  EXPECT_EQ(interrupted->signal.fault_address, 0u);
  EXPECT_EQ(interrupted->registers.rip, walk.result.frames[trampoline + 1].pc);
  EXPECT_EQ(interrupted->registers.cs, 0x33u) << "64-bit code";
  EXPECT_NE(interrupted->registers.fs_base, 0u);
  EXPECT_EQ(walk.result.frames[trampoline + 1].interrupted, nullptr);
}

TEST(Stepper, reads_on_the_other_stack_what_a_handler_interrupted) {
  const Walk walk(crash_of("optimised", "handler_on_other_stack", SIGABRT));
  const size_t trampoline = walk.signal_frame();
  ASSERT_LT(trampoline, walk.result.frames.size());
  const auto& interrupted = walk.result.frames[trampoline].interrupted;
  ASSERT_NE(interrupted, nullptr);
  EXPECT_EQ(interrupted->registers.rip, walk.result.frames.back().pc);
  EXPECT_EQ(interrupted->signal.number, 0) << "a handler without SA_SIGINFO";
}

TEST(Stepper, steps_out_of_handlers_that_failed_themselves) {
  const Walk walk(crash_of("optimised", "nested_handlers", SIGABRT, 1 << 20));
  std::vector<uint64_t> faults;
  for (const WalkedFrame& frame : walk.result.frames) {
    if (frame.signal_frame) {
      ASSERT_NE(frame.interrupted, nullptr);
      EXPECT_EQ(frame.interrupted->signal.number, SIGSEGV);
      faults.push_back(frame.interrupted->signal.fault_address);
    }
  }
  std::vector<uint64_t> expected(19, 8);
  expected.push_back(0);
  EXPECT_EQ(faults, expected);
  EXPECT_EQ(walk.result.stop_reason, "end of stack");
}

TEST(Stepper, steps_out_of_handlers_of_calls_of_nothing) {
  const Walk walk(crash_of("optimised", "handler_of_null_call", SIGABRT));
  size_t null = 0;
  while (null < walk.result.frames.size() && walk.result.frames[null].pc != 0) {
    ++null;
  }
  ASSERT_LT(null + 2, walk.result.frames.size());
  EXPECT_EQ(walk.function(null + 1), "shop::call_target()");
  EXPECT_EQ(walk.result.frames[null + 1].trust, Trust::frame_pointer);
  EXPECT_EQ(walk.function(null + 2), kRun);
}

TEST(Stepper, finds_the_way_to_the_other_stack) {
  const Walk walk(crash_of("optimised", "handler_on_other_stack", SIGABRT));
  size_t frame = 0;
  while (frame < walk.result.frames.size() && walk.function(frame) != kInner) {
    ++frame;
  }
  ASSERT_EQ(frame + 1, walk.result.frames.size()) << "only the alternate stack was captured";
  EXPECT_THAT(walk.result.stop_reason, StartsWith("no memory at 0x7ff"));
}

TEST(Stepper, ends_in_threads_where_they_begin) {
  const Walk walk(crash_of("optimised", "thread"));
  EXPECT_THAT(walk.functions(4), ElementsAre(kInner, kMiddle, kOuter, "shop::worker(void*)"));
  EXPECT_EQ(walk.result.stop_reason, "end of stack");
}

TEST(Stepper, knows_both_halves_of_plt_entries) {
  LiveSnapshot snapshot = crash_of("with_library", "");
  const Walk walk(snapshot);
  ASSERT_GE(walk.result.frames.size(), 3u);
  ASSERT_EQ(walk.function(1), "use_library()");
  const uint64_t back = walk.result.frames[1].pc;
  const uint64_t end = walk.result.frames[2].pc;

  // The entry that jumps to the library: .plt lies before .text, its entries are 16 bytes long, the first is shared.
  const RawCrash& crash = snapshot.crash;
  uint64_t plt = 0;
  for (const Mapping& mapping : crash.mappings) {
    if (mapping.executable && mapping.path == tests::program("with_library")) {
      plt = mapping.start;
    }
  }
  ASSERT_NE(plt, 0u);
  Registers& registers = snapshot.crash.threads[0].registers;
  int entries = 0;
  for (uint64_t entry = plt; entry < plt + 0x100; entry += 16) {
    registers.rip = entry;
    set_stack(snapshot, {back, 0, 0, end});
    const Walk before_push(snapshot);
    registers.rip = entry + 11;
    set_stack(snapshot, {7, back, 0, 0, end});
    const Walk after_push(snapshot);
    if (before_push.trusts(2) == std::vector{Trust::context, Trust::cfi} &&
        before_push.function(1) == "use_library()" &&
        after_push.trusts(2) == std::vector{Trust::context, Trust::cfi} &&
        after_push.function(1) == "use_library()") {
      ++entries;
    }
  }
  EXPECT_GE(entries, 1);
}

TEST(Stepper, unwinds_32_bit_programs) {
  for (const char* name : {"i386_plain", "i386_optimised"}) {
    if (::access(tests::program(name).c_str(), X_OK) != 0) {
      GTEST_SKIP() << "the compiler makes no 32-bit programs (gcc -m32)";
    }
    Result<LiveSnapshot> snapshot = tests::snapshot_at_signal({tests::program(name)}, SIGSEGV);
    if (!snapshot) {
      GTEST_SKIP() << "no 32-bit programs run here: " << snapshot.error().message;
    }
    snapshot->crash.stack_start = 0;  // so that _start alone, which has no table, is the end
    const Walk walk(*snapshot);
    EXPECT_THAT(walk.functions(4), ElementsAre("inner", "middle", "outer", "_start"));
    EXPECT_THAT(walk.trusts(4), ElementsAre(Trust::context, Trust::cfi, Trust::cfi, Trust::cfi));
    EXPECT_EQ(walk.result.stop_reason, "end of stack");
  }
}

TEST(Stepper, steps_out_of_signal_handlers_of_32_bit_programs) {
  for (const char* name : {"i386_handler", "i386_handler_with_siginfo"}) {
    SCOPED_TRACE(name);
    if (::access(tests::program(name).c_str(), X_OK) != 0) {
      GTEST_SKIP() << "the compiler makes no 32-bit programs (gcc -m32)";
    }
    Result<LiveSnapshot> snapshot = tests::snapshot_at_signal({tests::program(name)}, SIGILL);
    if (!snapshot) {
      GTEST_SKIP() << "no 32-bit programs run here: " << snapshot.error().message;
    }
    snapshot->crash.stack_start = 0;
    const Walk walk(*snapshot);
    EXPECT_EQ(walk.function(0), "on_fault");
    ASSERT_EQ(walk.signal_frame(), 1u);
    EXPECT_EQ(walk.function(2), "inner");
    EXPECT_EQ(walk.function(3), "middle");
    const auto& interrupted = walk.result.frames[1].interrupted;
    ASSERT_NE(interrupted, nullptr);
    EXPECT_EQ(interrupted->registers.rip, walk.result.frames[2].pc);
    EXPECT_EQ(interrupted->registers.cs, snapshot->crash.threads[0].registers.cs);
    EXPECT_EQ(interrupted->registers.ss, snapshot->crash.threads[0].registers.ss);
    if (std::string(name) == "i386_handler") {
      EXPECT_EQ(interrupted->signal.number, 0);
    } else {
      EXPECT_EQ(interrupted->signal.number, SIGSEGV);
      EXPECT_EQ(interrupted->signal.code, SEGV_MAPERR);
      EXPECT_EQ(interrupted->signal.fault_address, 0u);
    }
  }
}

TEST(Stepper, keeps_both_ends_and_counts_the_frames_between) {
  const LiveSnapshot snapshot = crash_of("optimised", "recursion");
  const Walk all(snapshot, 10000);
  ASSERT_GT(all.result.frames.size(), 600u);
  EXPECT_EQ(all.result.elided_frames, 0u);
  EXPECT_EQ(all.result.stop_reason, "end of stack");

  const Walk some(snapshot, 100);
  EXPECT_EQ(some.result.frames.size(), 100u);
  EXPECT_EQ(some.result.elided_frames, all.result.frames.size() - 100);
  EXPECT_EQ(some.result.elided_after, 50u);
  EXPECT_EQ(some.result.stop_reason, "end of stack");
  for (size_t i = 0; i < 50; ++i) {
    EXPECT_EQ(some.result.frames[i].pc, all.result.frames[i].pc);
    EXPECT_EQ(some.result.frames[99 - i].pc,
              all.result.frames[all.result.frames.size() - 1 - i].pc);
  }

  const Walk exact(snapshot, all.result.frames.size());
  EXPECT_EQ(exact.result.frames.size(), all.result.frames.size());
  EXPECT_EQ(exact.result.elided_frames, 0u);
  EXPECT_EQ(exact.result.elided_after, 0u);

  const Walk least(snapshot, 0);
  EXPECT_EQ(least.result.frames.size(), 1u) << "there is always a top";
  EXPECT_EQ(least.result.elided_frames, all.result.frames.size() - 1);
  EXPECT_EQ(least.result.elided_after, 1u);
}

TEST(Stepper, goes_on_at_the_other_end_of_a_stack_that_was_captured_from_both) {
  LiveSnapshot snapshot = crash_of("optimised", "recursion");
  const Walk whole(snapshot, 10000);
  auto& pieces = snapshot.crash.threads[0].stack;
  const MemoryRange all = pieces.at(0);
  const size_t kept = 4096, resumed = snapshot.crash.stack_start - 2048 - all.address;
  ASSERT_GT(all.bytes.size(), resumed);
  ASSERT_GT(resumed, kept);
  pieces = {{all.address, all.bytes.substr(0, kept)},
            {all.address + resumed, all.bytes.substr(resumed)}};

  const Walk walk(snapshot, 10000);
  EXPECT_LT(walk.result.frames.size(), whole.result.frames.size());
  EXPECT_EQ(walk.result.stop_reason, "end of stack");
  EXPECT_EQ(walk.result.frames.back().pc, whole.result.frames.back().pc);
  ASSERT_EQ(walk.result.soft_errors.size(), 1u);
  EXPECT_NE(walk.result.soft_errors[0].find("the stack was not captured from 0x"),
            std::string::npos);
}

TEST(Stepper, unwinds_an_overflown_stack_as_far_as_it_was_captured) {
  const Walk walk(crash_of("plain", "stack_overflow"), 100000);
  EXPECT_GT(walk.result.frames.size(), 500u);
  EXPECT_EQ(walk.function(walk.result.frames.size() - 1), "shop::recurse(int)");
  EXPECT_THAT(walk.result.stop_reason, StartsWith("no memory at 0x7ff"));
  EXPECT_THAT(walk.result.soft_errors, IsEmpty());
}

TEST(Stepper, ends_where_the_snapshot_does) {
  const Walk walk(crash_of("plain", "null_write", SIGSEGV, 64));
  EXPECT_LT(walk.result.frames.size(), 6u);
  EXPECT_THAT(walk.result.stop_reason, StartsWith("no memory at 0x7ff"));

  const Walk nothing(crash_of("plain", "null_write", SIGSEGV, 0));
  EXPECT_EQ(nothing.result.frames.size(), 1u);
  EXPECT_THAT(nothing.result.stop_reason, StartsWith("no memory at 0x7ff"));
}

TEST(Stepper, ends_where_the_arguments_of_the_process_begin) {
  LiveSnapshot snapshot = crash_of("no_table", "null_write");
  RawThread& thread = snapshot.crash.threads[0];
  ASSERT_LT(thread.registers.rsp, snapshot.crash.stack_start);
  thread.stack = {{snapshot.crash.stack_start - 8192, std::string(8192, '\0')}};
  thread.registers.rsp = snapshot.crash.stack_start - 64;
  EXPECT_EQ(Walk(snapshot).result.stop_reason, "end of stack");
  thread.registers.rsp = snapshot.crash.stack_start - 8192;
  EXPECT_THAT(Walk(snapshot).result.stop_reason, StartsWith("no return address found from 0x7ff"));
}

TEST(Stepper, keeps_the_top_frame_of_a_process_without_memory_map) {
  LiveSnapshot snapshot = crash_of("optimised", "null_write");
  snapshot.crash.mappings.clear();
  const Walk walk(snapshot);
  EXPECT_EQ(walk.result.frames.size(), 1u);
  EXPECT_EQ(walk.result.stop_reason, "no memory map");
}

}  // namespace
}  // namespace crashcrawler
