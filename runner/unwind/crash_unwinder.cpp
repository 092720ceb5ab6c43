#include "runner/unwind/crash_unwinder.h"

#include <csignal>
#include <set>

#include "runner/unwind/address_space.h"
#include "runner/unwind/in_app.h"
#include "runner/unwind/modules.h"
#include "runner/unwind/register_set.h"
#include "runner/unwind/stepper.h"

namespace crashcrawler {

namespace {

ThreadBacktrace describe(const RawThread& thread) {
  ThreadBacktrace result;
  result.tid = thread.tid;
  result.name = thread.name;
  result.crashed = thread.crashed;
  result.registers = thread.registers;
  return result;
}

Frame place(const WalkedFrame& walked, const ModuleMap& modules) {
  Frame frame;
  frame.trust = walked.trust;
  frame.instruction_addr = walked.pc;
  frame.signal_frame = walked.signal_frame;
  frame.interrupted = walked.interrupted;
  frame.module = modules.find(walked.lookup);
  if (frame.module) {
    frame.module_offset = walked.pc - modules.modules()[*frame.module].module.load_bias;
  }
  return frame;
}

void name(Frame& frame, const WalkedFrame& walked, const LoadedModule& loaded) {
  const uint64_t bias = loaded.module.load_bias;
  const ResolvedAddress& resolved = loaded.image->resolve(walked.lookup - bias);
  frame.function = resolved.function;
  frame.raw_function = resolved.raw_function;
  frame.location = resolved.location;
  frame.inlines = resolved.inlines;
  if (resolved.function_start) {
    frame.function_offset = walked.pc - bias - *resolved.function_start;
  }
}

void list_modules(const ModuleMap& modules, Backtrace& backtrace) {
  for (const LoadedModule& loaded : modules.modules()) {
    backtrace.modules.push_back(loaded.module);
  }
}

// int3 in the code: the kernel says SI_KERNEL (do_int3_user(), arch/x86/kernel/traps.c).
bool is_breakpoint(const RawSignal& signal) {
  return signal.number == SIGTRAP && signal.code == SI_KERNEL;
}

// Half of the child's memory for mapped files, the rest for what is made of them.
size_t image_budget(const UnwindLimits& limits) {
  return limits.memory / 2;
}

DebugFileSearch search_of(const UnwindLimits& limits) {
  std::vector<std::string> roots = limits.debug_directories;
  roots.push_back("/usr/lib/debug");
  return DebugFileSearch(std::move(roots));
}

}  // namespace

CrashUnwinder::CrashUnwinder(const PinnedFiles& files, const UnwindLimits& limits)
    : files_(files), limits_(limits), images_(files, image_budget(limits), search_of(limits)) {}

Backtrace CrashUnwinder::unwind(const RawCrash& crash) {
  images_.trim();
  Backtrace backtrace;
  const ModuleMap modules(crash, files_, images_);
  list_modules(modules, backtrace);
  AddressSpace memory(crash);
  modules.add_code(memory);
  const AppFilter app(limits_.app_directories, crash.executable);

  std::set<size_t> complained;
  for (const RawThread& thread : crash.threads) {
    ThreadBacktrace result = describe(thread);
    StackWalk walk =
        walk_stack(thread, crash.architecture, crash.stack_start, modules, memory, limits_.frames,
                   thread.crashed && is_breakpoint(crash.signal) ? 1 : 0);
    for (const WalkedFrame& walked : walk.frames) {
      Frame frame = place(walked, modules);
      const LoadedModule* loaded = frame.module ? &modules.modules()[*frame.module] : nullptr;
      if (loaded != nullptr && loaded->image) {
        name(frame, walked, *loaded);
        if (!loaded->image->complaint().empty() && complained.insert(*frame.module).second) {
          backtrace.soft_errors.push_back(loaded->module.path + ": " + loaded->image->complaint());
        }
      } else if (loaded != nullptr && complained.insert(*frame.module).second) {
        backtrace.soft_errors.push_back(loaded->module.path + ": " + loaded->why_no_image +
                                        "; frames in it have no names");
      }
      frame.in_app = app.in_app(frame, loaded != nullptr ? &loaded->module : nullptr);
      result.frames.push_back(std::move(frame));
    }
    result.elided_frames = walk.elided_frames;
    result.elided_after = walk.elided_after;
    result.stop_reason = std::move(walk.stop_reason);
    for (const std::string& error : walk.soft_errors) {
      backtrace.soft_errors.push_back("thread " + std::to_string(thread.tid) + ", " + error);
    }
    backtrace.threads.push_back(std::move(result));
  }
  return backtrace;
}

Backtrace without_files(const RawCrash& crash, const PinnedFiles& files, const std::string& error) {
  Backtrace backtrace;
  NoImages none;
  const ModuleMap modules(crash, files, none);
  list_modules(modules, backtrace);
  for (const RawThread& thread : crash.threads) {
    ThreadBacktrace result = describe(thread);
    const uint64_t pc = RegisterSet(thread.registers, crash.architecture).pc();
    result.frames.push_back(place({pc, pc, Trust::context, false, nullptr}, modules));
    result.stop_reason = "symbolisation failed";
    backtrace.threads.push_back(std::move(result));
  }
  backtrace.soft_errors.push_back("symbolisation failed: " + error);
  return backtrace;
}

}  // namespace crashcrawler
