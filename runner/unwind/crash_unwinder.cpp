#include "runner/unwind/crash_unwinder.h"

#include <algorithm>
#include <csignal>
#include <set>

#include "runner/base/signal_names.h"
#include "runner/unwind/address_space.h"
#include "runner/unwind/disassembly.h"
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

// Whether an instruction of the thread brought the signal about.
bool stopped_at_instruction(const RawThread& thread, const RawCrash& crash) {
  const int number = crash.signal.number;
  return thread.at_fault || (thread.crashed && crash.cause != Cause::timeout && number != 0 &&
                             is_core_signal(number) && !has_sender(number, crash.signal.code));
}

// The registers with which frames[i] was interrupted by a fault; null: it was not.
const Registers* registers_at_fault(const RawThread& thread, const RawCrash& crash,
                                    const StackWalk& walk, size_t i) {
  if (i == 0) {
    return stopped_at_instruction(thread, crash) ? &thread.registers : nullptr;
  }
  const Interrupted* interrupted = walk.frames[i - 1].interrupted.get();
  const bool is_next = i != walk.elided_after || walk.elided_frames == 0;
  if (!thread.crashed || !is_next || interrupted == nullptr) {
    return nullptr;
  }
  const int number = interrupted->signal.number;  // 0: not known
  return number == 0 || is_core_signal(number) ? &interrupted->registers : nullptr;
}

int64_t modified_ns_of(const RawCrash& crash, const std::string& path) {
  const auto found = std::ranges::find(crash.mappings, path, &Mapping::path);
  return found == crash.mappings.end() ? 0 : found->modified_ns;
}

// Half of the child's memory for mapped files, the rest for what is made of them.
size_t image_budget(const UnwindLimits& limits) {
  return limits.memory / 2;
}

DebugFileSearch search_of(const UnwindLimits& limits,
                          const std::map<std::string, std::string>& fetched) {
  std::vector<std::string> roots = limits.debug_directories;
  roots.push_back("/usr/lib/debug");
  return DebugFileSearch(std::move(roots), fetched);
}

}  // namespace

CrashUnwinder::CrashUnwinder(const PinnedFiles& files, const UnwindLimits& limits,
                             const std::map<std::string, std::string>& fetched)
    : files_(files),
      limits_(limits),
      images_(files, image_budget(limits), search_of(limits, fetched)) {}

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
    for (size_t i = 0; i < walk.frames.size(); ++i) {
      const WalkedFrame& walked = walk.frames[i];
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
      if (const Registers* registers = registers_at_fault(thread, crash, walk, i)) {
        const bool has_name = !frame.function.empty() || !frame.raw_function.empty();
        const std::optional<uint64_t> start =
            has_name ? std::optional(walked.pc - frame.function_offset) : std::nullopt;
        frame.disassembly = disassemble({walked.lookup, start, *registers}, crash, memory);
      }
      frame.in_app = app.in_app(frame, loaded != nullptr ? &loaded->module : nullptr);
      result.frames.push_back(std::move(frame));
    }
    if (thread.crashed) {
      quote_sources(result.frames, backtrace.modules, crash);
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

// Of the top frame, and of the first of the program's own: the one that a reader looks at is among them.
void CrashUnwinder::quote_sources(std::vector<Frame>& frames, const std::vector<Module>& modules,
                                  const RawCrash& crash) {
  constexpr size_t kOwnFrames = 3;
  size_t own = 0;
  for (size_t i = 0; i < frames.size() && own < kOwnFrames; ++i) {
    Frame& frame = frames[i];
    own += frame.in_app ? 1 : 0;
    if (i > 0 && !frame.in_app) {
      continue;
    }
    const int64_t modified = frame.module ? modified_ns_of(crash, modules[*frame.module].path) : 0;
    for (InlinedFunction& inlined : frame.inlines) {
      inlined.location.text = sources_.around(inlined.location, modified);
    }
    frame.location.text = sources_.around(frame.location, modified);
  }
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
