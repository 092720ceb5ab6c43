// Names, lines and inlined functions of whole backtraces, in every flavour of build.
#include "runner/unwind/crash_unwinder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/unit/unwind/programs.h"

namespace crashcrawler {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;
using tests::crash_of;
using tests::frame_of;
using tests::LiveSnapshot;
using tests::marked_line;
using tests::program;
using tests::source;
using tests::to_text;

Backtrace unwound(const LiveSnapshot& snapshot, const UnwindLimits& limits = {}) {
  return CrashUnwinder(snapshot.files, limits).unwind(snapshot.crash);
}

void expect_at(const SourceLocation& location, const std::string& file, const std::string& mark) {
  EXPECT_EQ(location.file, source(file));
  EXPECT_EQ(location.line, marked_line(file, mark)) << mark;
  EXPECT_GT(location.column, 0);
}

class Flavour : public testing::TestWithParam<const char*> {};

TEST_P(Flavour, has_functions_lines_and_inlined_functions) {
  if (!std::filesystem::exists(program(GetParam()))) {
    GTEST_SKIP() << "the tool that makes the program " << GetParam() << " is not installed";
  }
  const LiveSnapshot snapshot = crash_of(GetParam(), "null_write");
  const Backtrace backtrace = unwound(snapshot);
  SCOPED_TRACE(to_text(backtrace));
  ASSERT_EQ(backtrace.threads.size(), 1u);
  const ThreadBacktrace& thread = backtrace.threads[0];
  EXPECT_EQ(thread.tid, snapshot.crash.crashing_tid);
  EXPECT_TRUE(thread.crashed);
  EXPECT_EQ(thread.registers.rip, snapshot.crash.threads[0].registers.rip);
  EXPECT_EQ(thread.stop_reason, "end of stack");
  ASSERT_GE(thread.frames.size(), 5u);

  const Frame& inner = thread.frames[0];
  EXPECT_EQ(inner.function, "void shop::inner<int>(int*)");
  EXPECT_EQ(inner.raw_function, "_ZN4shop5innerIiEEvPT_");
  EXPECT_EQ(inner.instruction_addr, snapshot.crash.threads[0].registers.rip);
  expect_at(inner.location, "stacks.cpp", "inner");
  ASSERT_EQ(inner.inlines.size(), 2u);
  EXPECT_THAT(inner.inlines[0].function, StartsWith("shop::(anonymous namespace)::put"));
  expect_at(inner.inlines[0].location, "stacks.cpp", "put");
  EXPECT_EQ(inner.inlines[1].function, "shop::Shelf::put_twice(int)");
  EXPECT_EQ(inner.inlines[1].raw_function, "_ZN4shop5Shelf9put_twiceEi");
  expect_at(inner.inlines[1].location, "stacks.cpp", "put_twice");

  const char* const kMarks[] = {"inner", "middle", "outer", "run", "main"};
  for (size_t i = 1; i < 5; ++i) {
    expect_at(thread.frames[i].location, "stacks.cpp", kMarks[i]);
    EXPECT_THAT(thread.frames[i].inlines, IsEmpty());
    ASSERT_TRUE(thread.frames[i].module);
    const Module& module = backtrace.modules[*thread.frames[i].module];
    EXPECT_EQ(module.path, program(GetParam()));
    EXPECT_EQ(thread.frames[i].module_offset, thread.frames[i].instruction_addr - module.load_bias);
  }
  EXPECT_EQ(thread.frames[4].function, "main");
  EXPECT_EQ(thread.frames[4].raw_function, "main");
  EXPECT_GT(thread.frames[4].function_offset, 0u);
  EXPECT_LT(thread.frames[4].function_offset, 200u);
}

INSTANTIATE_TEST_SUITE_P(All, Flavour,
                         testing::Values("optimised", "plain", "fixed_address", "static", "clang",
                                         "dwarf4", "compressed", "zstd", "split", "split_dwarf4",
                                         "dwz", "debug_frame_only", "linked", "identified",
                                         "frame_pointers", "no_table"),
                         [](const auto& flavour) { return std::string(flavour.param); });

TEST(CrashUnwinder, does_with_symbols_alone) {
  const Backtrace backtrace = unwound(crash_of("only_symbols", "null_write"));
  SCOPED_TRACE(to_text(backtrace));
  const Frame& middle = backtrace.threads[0].frames.at(1);
  EXPECT_EQ(middle.function, "shop::middle(int*)");
  EXPECT_EQ(middle.location.file, "");
  EXPECT_EQ(middle.location.line, 0);
}

TEST(CrashUnwinder, does_without_symbols) {
  const Backtrace backtrace = unwound(crash_of("stripped", "null_write"));
  SCOPED_TRACE(to_text(backtrace));
  const ThreadBacktrace& thread = backtrace.threads[0];
  ASSERT_GE(thread.frames.size(), 7u);
  for (size_t i = 0; i < 5; ++i) {
    EXPECT_EQ(thread.frames[i].function, "");
    ASSERT_TRUE(thread.frames[i].module);
    EXPECT_EQ(backtrace.modules[*thread.frames[i].module].path, program("stripped"));
    EXPECT_GT(thread.frames[i].module_offset, 0u);
  }
  EXPECT_EQ(thread.stop_reason, "end of stack");
}

TEST(CrashUnwinder, crosses_libraries) {
  const Backtrace backtrace = unwound(crash_of("with_library", ""));
  SCOPED_TRACE(to_text(backtrace));
  const ThreadBacktrace& thread = backtrace.threads[0];
  EXPECT_EQ(thread.frames.at(0).function, "shelf_put");
  expect_at(thread.frames[0].location, "shelf.cpp", "shelf_put");
  ASSERT_TRUE(thread.frames[0].module);
  EXPECT_EQ(backtrace.modules[*thread.frames[0].module].soname, "libshelf.so.1");
  EXPECT_EQ(thread.frames.at(1).function, "use_library()");
  expect_at(thread.frames[1].location, "with_library.cpp", "use_library");
}

TEST(CrashUnwinder, looks_at_the_call_not_behind_it) {
  const Backtrace backtrace = unwound(crash_of("optimised", "abort", SIGABRT));
  SCOPED_TRACE(to_text(backtrace));
  const Frame* give_up = frame_of(backtrace.threads[0], "shop::(anonymous namespace)::give_up()");
  ASSERT_NE(give_up, nullptr) << "abort() does not return: the next byte is another function's";
  EXPECT_EQ(give_up->raw_function, "_ZN4shop12_GLOBAL__N_17give_upEv")
      << "from the symbol table: debug information has no linkage names for internal functions";
  expect_at(give_up->location, "stacks.cpp", "give_up");
}

TEST(CrashUnwinder, marks_the_signal_frame) {
  const Backtrace backtrace = unwound(crash_of("plain", "handler", SIGABRT));
  SCOPED_TRACE(to_text(backtrace));
  int trampolines = 0;
  for (const Frame& frame : backtrace.threads[0].frames) {
    trampolines += frame.signal_frame;
    EXPECT_EQ(frame.signal_frame, frame.function == "__restore_rt");
  }
  EXPECT_EQ(trampolines, 1);
  const Frame* handler = frame_of(backtrace.threads[0], "shop::on_segv(int)");
  ASSERT_NE(handler, nullptr);
  expect_at(handler->location, "stacks.cpp", "on_segv");
}

TEST(CrashUnwinder, takes_all_threads_the_crashing_one_first) {
  const Backtrace backtrace = unwound(crash_of("optimised", "thread"));
  SCOPED_TRACE(to_text(backtrace));
  ASSERT_EQ(backtrace.threads.size(), 2u);
  EXPECT_TRUE(backtrace.threads[0].crashed);
  const Frame* worker = frame_of(backtrace.threads[0], "shop::worker(void*)");
  ASSERT_NE(worker, nullptr);
  expect_at(worker->location, "stacks.cpp", "worker");
  EXPECT_FALSE(backtrace.threads[1].crashed);
  EXPECT_NE(frame_of(backtrace.threads[1], "main"), nullptr);
  EXPECT_EQ(backtrace.threads[1].stop_reason, "end of stack");
}

TEST(CrashUnwinder, has_tables_and_names_for_the_vdso) {
  const Backtrace backtrace = unwound(crash_of("optimised", "vdso"));
  SCOPED_TRACE(to_text(backtrace));
  const Frame& top = backtrace.threads[0].frames.at(0);
  ASSERT_TRUE(top.module);
  if (backtrace.modules[*top.module].path != "[vdso]") {
    GTEST_SKIP() << "the kernel gives processes no vdso, or reads this clock by system call";
  }
  EXPECT_THAT(top.function, HasSubstr("clock_gettime"));
  const Frame* caller = frame_of(backtrace.threads[0], "shop::ask_time()");
  ASSERT_NE(caller, nullptr);
  EXPECT_EQ(caller->trust, Trust::cfi);
  expect_at(caller->location, "stacks.cpp", "ask_time");
  EXPECT_THAT(backtrace.soft_errors, IsEmpty());
}

TEST(CrashUnwinder, tells_the_programs_code_from_the_systems) {
  const LiveSnapshot snapshot = crash_of("with_library", "");
  UnwindLimits limits;
  const Backtrace without = unwound(snapshot, limits);
  EXPECT_FALSE(without.threads[0].frames.at(0).in_app) << "a library like any other";
  EXPECT_TRUE(without.threads[0].frames.at(1).in_app) << "the executable is always";

  limits.app_directories = {std::filesystem::path(program("x")).parent_path().string()};
  const Backtrace with = unwound(snapshot, limits);
  SCOPED_TRACE(to_text(with));
  EXPECT_TRUE(with.threads[0].frames.at(0).in_app);
  for (const Frame& frame : with.threads[0].frames) {
    if (frame.function == "__libc_start_main" || frame.function == "__libc_start_call_main") {
      EXPECT_FALSE(frame.in_app);
    }
  }
}

TEST(CrashUnwinder, keeps_module_and_offset_of_files_that_are_gone) {
  LiveSnapshot snapshot = crash_of("frame_pointers", "null_write");
  uint64_t lowest = ~uint64_t{0};
  for (Mapping& mapping : snapshot.crash.mappings) {
    if (mapping.path == program("frame_pointers")) {
      lowest = std::min(lowest, mapping.start);
      mapping.deleted = true;
      PinnedFile& file = snapshot.files[file_key(mapping)];
      file.fd.reset();
      file.error = "another file lies there now";
      file.changed = true;
    }
  }
  const Backtrace backtrace = unwound(snapshot);
  SCOPED_TRACE(to_text(backtrace));
  const ThreadBacktrace& thread = backtrace.threads[0];
  ASSERT_GE(thread.frames.size(), 5u);
  for (size_t i = 0; i < 5; ++i) {
    ASSERT_TRUE(thread.frames[i].module);
    const Module& module = backtrace.modules[*thread.frames[i].module];
    EXPECT_EQ(module.path, program("frame_pointers"));
    EXPECT_TRUE(module.deleted);
    EXPECT_TRUE(module.changed_on_disk);
    EXPECT_EQ(thread.frames[i].module_offset, thread.frames[i].instruction_addr - lowest);
    EXPECT_EQ(thread.frames[i].function, "");
  }
  ASSERT_EQ(backtrace.soft_errors.size(), 1u) << "once, not for every frame";
  EXPECT_EQ(backtrace.soft_errors[0], program("frame_pointers") +
                                          ": another file lies there now; frames in it have no "
                                          "names");
}

TEST(CrashUnwinder, names_the_thread_whose_stack_is_damaged) {
  const LiveSnapshot snapshot = crash_of("optimised", "smash");
  const Backtrace backtrace = unwound(snapshot);
  ASSERT_EQ(backtrace.soft_errors.size(), 1u);
  EXPECT_THAT(backtrace.soft_errors[0],
              StartsWith("thread " + std::to_string(snapshot.crash.crashing_tid) + ", frame 0: "));
}

TEST(WithoutFiles, has_registers_and_top_frames) {
  const LiveSnapshot snapshot = crash_of("optimised", "thread");
  const Backtrace backtrace = without_files(snapshot.crash, snapshot.files, "child ended");
  ASSERT_EQ(backtrace.threads.size(), 2u);
  for (const ThreadBacktrace& thread : backtrace.threads) {
    ASSERT_EQ(thread.frames.size(), 1u);
    const Frame& top = thread.frames[0];
    EXPECT_EQ(top.instruction_addr, thread.registers.rip);
    ASSERT_TRUE(top.module);
    const Module& module = backtrace.modules[*top.module];
    EXPECT_EQ(top.module_offset, top.instruction_addr - module.base);
    EXPECT_EQ(thread.stop_reason, "symbolisation failed");
  }
  EXPECT_THAT(backtrace.soft_errors, testing::ElementsAre("symbolisation failed: child ended"));
}

}  // namespace
}  // namespace crashcrawler
