// When are two crashes the same crash?
//
// The signature is what a person would say over the shoulder: "SIGSEGV in put, called by flush,
// called by close". It has to come out the same for the five hundredth run of a test, on another
// machine, with address space layout randomisation, after a rebuild that moved every line, and
// differently when somebody would look for another bug.
//
// Rivals: addresses or offsets (die with every rebuild), file:line (die with every edit), the whole
// stack (every caller of a broken function is a bug of its own), the top frame alone (all aborts
// are one bug). What crash collectors have converged on is the top few function names after a list
// of frames to skip; so do we. The rules of "crashcrawler-2":
//
//  1. A function that was inlined counts as a frame, so that -O2 tells the same story as -O0 where
//  the compiler has
//     kept it in the debug information.
//  2. Names are normalised (normalise.h). A frame without a name is its module and the offset in
//  it, "libx.so+0x1f2a";
//     without a module it is "[no module]", for its address is chance.
//  3. The machinery that turns a failed check into a signal (raise, abort, __assert_fail,
//  __cxa_throw, the signal
//     trampoline, Rust's panic ...) is skipped while it is at the top. A frame without a name
//     between two such frames, or below them in the same library, is a static function of that
//     library (a C library without symbols shows most of abort() like that) and is skipped with
//     them. Further down these names say something: a handler that was running keeps its place.
//  4. A repeated frame, or a repeated cycle of up to four, counts once, including the unfinished
//  turn at its end. A
//     cycle at the very top is written starting from its smallest name, because chance decides
//     which of its functions hits the end of the stack. Below a run of kDeepRun frames nothing
//     counts: whether the capture reached it depends on the depth.
//  5. The list ends before what calls main() or a thread's function: that belongs to the C library
//  and changes with it. Where that has no symbols its static functions (start_thread) and hidden ones (clone3) have no names: frames
//  without a name at the bottom of a stack that are the C library's are left out, too. It also ends where a scan of the stack had to go on behind at least three frames: what that finds
//  below a recursion is chance.
//  6. Of what is left, five. When nothing is left, rule 3 is not applied; when no frame says where
//  it belongs, the
//     executable's name comes first, so that two programs that both jumped into the void stay two.
//
// The hash is XXH3 (64 bits) over the algorithm's name, the signal and the frames, one a line. The
// signal's code is not in it: a wild pointer is SEGV_MAPERR today and SEGV_ACCERR tomorrow. What
// would break it: changing any rule without changing the name of the algorithm, because stored
// hashes would be compared with others of another kind.
#include "runner/classify/signature.h"

#include <xxhash.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <string_view>

#include "runner/base/hex.h"
#include "runner/base/signal_names.h"
#include "runner/classify/machinery.h"
#include "runner/classify/normalise.h"

namespace crashcrawler {
namespace {

constexpr const char* kAlgorithm = "crashcrawler-2";
constexpr size_t kEnoughWalked = 3;
constexpr size_t kFrames = 5;
constexpr size_t kLongestCycle = 4;
constexpr size_t kDeepRun = 32;
constexpr size_t kSteps = 256;  // looked at: four runs shorter than kDeepRun are over long before
constexpr std::string_view kNoModule = "[no module]";

// A name on its way into the signature.
struct Step {
  std::string name;
  std::string module;
  bool named = false;  // by a symbol
  bool machinery = false;
  size_t frames = 1;  // that it stands for
};

constexpr std::string_view kStartup[] = {"__libc_start_call_main",
                                         "__libc_start_main",
                                         "__libc_start_main_impl",
                                         "_start",
                                         "start_thread",
                                         "clone",
                                         "clone3",
                                         "__clone",
                                         "__clone3"};

bool is_startup(std::string_view name) {
  return std::find(std::begin(kStartup), std::end(kStartup), name) != std::end(kStartup);
}

Step named_step(const std::string& function, const std::string& raw_function) {
  Step step;
  step.name = normalise_function(function.empty() ? raw_function : function);
  step.named = true;
  step.machinery = is_raising_machinery(step.name);
  return step;
}

Step step_of(const Frame& frame, const std::vector<Module>& modules) {
  Step step;
  if (!frame.function.empty() || !frame.raw_function.empty()) {
    step = named_step(frame.function, frame.raw_function);
  }
  if (frame.module && *frame.module < modules.size()) {
    step.module = normalise_module(modules[*frame.module].path);
  }
  if (!step.named && step.module.empty()) {
    step.name = kNoModule;
  } else if (!step.named) {
    step.name = step.module + "+" + hex(frame.module_offset);
  }
  step.machinery = step.machinery || frame.signal_frame;
  return step;
}

bool is_nameless_of_c_library(const Step& step) {
  return !step.named && (step.module == "libc.so" || step.module == "libpthread.so");
}

// Rule 5 where the C library has no symbols; something is left.
void drop_nameless_startup(std::vector<Step>& steps) {
  while (steps.size() > 1 && is_nameless_of_c_library(steps.back())) {
    steps.pop_back();
  }
}

// Rule 1 and 2; rule 5 ends the list.
std::vector<Step> steps_of(const ThreadBacktrace& thread, const std::vector<Module>& modules) {
  std::vector<Step> steps;
  size_t walked = 0;
  for (const Frame& frame : thread.frames) {
    const bool is_scanned = frame.trust == Trust::scan;
    if (steps.size() >= kSteps || (is_scanned && walked >= kEnoughWalked)) {
      break;
    }
    walked += is_scanned ? 0 : 1;
    Step outer = step_of(frame, modules);
    for (const InlinedFunction& inlined : frame.inlines) {
      steps.push_back(named_step(inlined.function, inlined.raw_function));
      steps.back().module = outer.module;
    }
    if (is_startup(outer.name) && !steps.empty()) {
      break;
    }
    steps.push_back(std::move(outer));
    if (steps.back().name == "main") {
      break;
    }
  }
  if (steps.size() < kSteps) {
    drop_nameless_startup(steps);
  }
  return steps;
}

// Rule 3: the index of the first step that is not machinery.
size_t after_machinery(const std::vector<Step>& steps) {
  size_t after = 0;
  for (size_t i = 0; i < steps.size() && (steps[i].machinery || !steps[i].named); ++i) {
    if (steps[i].machinery) {
      const auto is_of_this_library = [&](const Step& step) {
        return !step.module.empty() && step.module == steps[i].module;
      };
      if (!std::all_of(&steps[after], &steps[i], is_of_this_library)) {
        break;  // a nameless frame of somebody else was running
      }
      after = i + 1;
    }
  }
  if (after == 0) {
    return 0;
  }
  const std::string& library = steps[after - 1].module;
  while (after < steps.size() && !steps[after].named && !library.empty() &&
         steps[after].module == library) {
    ++after;
  }
  return after == steps.size() ? 0 : after;
}

// How many steps from `start` on repeat the cycle of `length` there: whole turns and the unfinished
// last one. 0 when there is no second turn.
size_t repeated(const std::vector<Step>& steps, size_t start, size_t length) {
  size_t end = start + length;
  while (end < steps.size() && steps[end].name == steps[end - length].name) {
    ++end;
  }
  return end - start >= 2 * length ? end - start : 0;
}

// Rule 4 for cycles of one length.
std::vector<Step> collapsed(const std::vector<Step>& steps, size_t length) {
  std::vector<Step> kept;
  for (size_t i = 0; i < steps.size();) {
    const size_t run = repeated(steps, i, length);
    if (run == 0) {
      kept.push_back(steps[i++]);
      continue;
    }
    size_t frames = 0;
    for (size_t k = i; k < i + run; ++k) {
      frames += steps[k].frames;
    }
    std::vector<Step> cycle(steps.begin() + static_cast<ptrdiff_t>(i),
                            steps.begin() + static_cast<ptrdiff_t>(i + length));
    if (i == 0) {
      const auto by_name = [](const Step& a, const Step& b) { return a.name < b.name; };
      std::rotate(cycle.begin(), std::min_element(cycle.begin(), cycle.end(), by_name),
                  cycle.end());
    }
    for (Step& step : cycle) {
      step.frames = 0;
    }
    cycle.back().frames = frames;  // the run's size is told by its last step
    kept.insert(kept.end(), cycle.begin(), cycle.end());
    if (frames >= kDeepRun) {
      break;
    }
    i += run;
  }
  return kept;
}

const ThreadBacktrace* crashed_thread(const Backtrace& backtrace) {
  for (const ThreadBacktrace& thread : backtrace.threads) {
    if (thread.crashed) {
      return &thread;
    }
  }
  return backtrace.threads.empty() ? nullptr : &backtrace.threads.front();
}

std::string hash_of(const std::string& signal, const std::vector<std::string>& frames) {
  std::string text = std::string(kAlgorithm) + "\n" + signal + "\n";
  for (const std::string& frame : frames) {
    text += frame + "\n";
  }
  std::array<char, 17> hex;
  std::snprintf(hex.data(), hex.size(), "%016llx",
                static_cast<unsigned long long>(XXH3_64bits(text.data(), text.size())));
  return hex.data();
}

}  // namespace

Signature sign(const RawCrash& crash, const Backtrace& backtrace) {
  std::vector<Step> steps;
  if (const ThreadBacktrace* thread = crashed_thread(backtrace)) {
    steps = steps_of(*thread, backtrace.modules);
  }
  steps.erase(steps.begin(), steps.begin() + static_cast<ptrdiff_t>(after_machinery(steps)));
  for (size_t length = 1; length <= kLongestCycle; ++length) {
    steps = collapsed(steps, length);
  }

  Signature signature;
  signature.algorithm = kAlgorithm;
  const bool placed = std::any_of(steps.begin(), steps.end(),
                                  [](const Step& step) { return step.name != kNoModule; });
  if (!placed) {
    signature.frames.push_back(normalise_module(crash.executable));
  }
  for (const Step& step : steps) {
    if (signature.frames.size() < kFrames) {
      signature.frames.push_back(step.name);
    }
  }
  signature.hash = hash_of(signal_name(crash.signal.number), signature.frames);
  return signature;
}

}  // namespace crashcrawler
