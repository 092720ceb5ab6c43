// Which rule finds the next frame, and when to stop believing.
//
// The rules, best first; a frame carries the name of the one that found it (Frame::trust):
//   context        The registers at a signal: of the top frame, and of what a handler interrupted.
//   cfi            The call frame table of the file. Exact wherever the stack is whole, whatever
//                  the optimisation.
//   frame_pointer  Conventions of the ABI in place of a table: the chain of saved frame pointers,
//                  in code that has no table; and where the program counter points to no code (a
//                  call of a null or wild pointer), that `call` has just pushed the return address
//                  and changed nothing else. Both are taken only when they yield a return address.
//   scan           The next word of the stack that is a return address. A guess: it may be left
//                  from an older call.
//
// A table is not a rival of the weaker rules: where there is one, its answer is final while it
// makes sense. It makes no sense when the return address is not in executable memory or the frame
// lies outside the stack; then the stack has been overwritten (or a register that leads to it),
// which is said in soft_errors, and the scan goes on above the damage. When the table is right but
// the bytes were not captured, the scan goes on where bytes of the same stack were captured again,
// and the walk ends where there are none.
//
// After a scan or a frame pointer step the callee-saved registers are those of nobody; they are
// forgotten, so that a table further up that needs one fails instead of going astray. The frame
// pointer is kept while it points above the new frame: a function that does not use it leaves it
// alone.
//
// A signal frame is known by its table (augmentation "S"), else by its code, as gdb and libgcc do: there
// are restorers without a table (musl, the 32-bit vdso), and with one that does not say what they are
// (Go). Then the frame that the kernel made is read in place of the table.
//
// Loops end because the stack pointer has to grow. It may jump back only out of a signal frame
// (sigaltstack) or to another mapping (a coroutine, a runtime that switches stacks), and that not
// often.
#include "runner/unwind/stepper.h"

#include <algorithm>
#include <deque>
#include <optional>

#include "runner/unwind/call_site.h"
#include "runner/unwind/cfi_step.h"
#include "runner/unwind/signal_frame.h"

namespace crashcrawler {

namespace {

constexpr size_t kScannedWords = 512;
constexpr size_t kMostStackSwitches = 16;
constexpr size_t kMostElided = 1u << 20;

class Walker {
 public:
  Walker(const RawThread& thread, Architecture architecture, uint64_t stack_start,
         const ModuleMap& modules, const AddressSpace& memory)
      : modules_(modules),
        memory_(memory),
        stack_start_(stack_start),
        dead_(thread.registers),
        architecture_(architecture),
        registers_(thread.registers, architecture),
        layout_(registers_.layout()) {}

  StackWalk walk(size_t most_frames, uint64_t behind);

 private:
  bool step();
  bool step_by_table(ElfImage& image, uint64_t load_bias);
  bool step_without_table();
  bool step_out_of_signal_frame();
  bool step_out_of_nowhere();
  bool step_by_frame_pointer();
  bool scan(uint64_t from);
  bool skip_to_captured(uint64_t address);

  bool move_to(const RegisterSet& caller, Trust trust, bool left_signal_frame);
  void move_blindly(uint64_t pc, uint64_t sp, std::optional<uint64_t> fp, Trust trust);
  bool stop(std::string reason);
  void note(const std::string& what);
  bool at_restorer() const;
  std::shared_ptr<const Interrupted> interrupted_context() const;
  bool same_stack(uint64_t address) const;

  const ModuleMap& modules_;
  const AddressSpace& memory_;
  const uint64_t stack_start_;
  const Registers& dead_;
  const Architecture architecture_;
  RegisterSet registers_;  // of the current frame
  const RegisterLayout& layout_;
  WalkedFrame frame_;                           // the current one
  bool interrupted_ = true;                     // the current frame did not call: pc is exact
  bool in_signal_frame_ = false;                // the current frame is the trampoline of a handler
  std::shared_ptr<const Interrupted> context_;  // that the kernel saved for it
  size_t number_ = 0;                           // of the current frame
  size_t stack_switches_ = 0;
  StackWalk result_;
};

StackWalk Walker::walk(size_t most_frames, uint64_t behind) {
  frame_ = {registers_.pc(), registers_.pc() - behind, Trust::context, false, nullptr};
  const size_t most_at_bottom = most_frames / 2;
  const size_t most_at_top = std::max<size_t>(most_frames - most_at_bottom, 1);
  std::deque<WalkedFrame> bottom;
  for (;;) {
    // Stepping out of a frame tells whether it is a signal frame, hence step first, then keep.
    WalkedFrame left = frame_;
    const bool goes_on = step();
    if (in_signal_frame_) {
      left.signal_frame = true;
      left.interrupted = context_;
      left.lookup = left.pc;  // the kernel put that address there: nothing called
    }
    if (result_.frames.size() < most_at_top) {
      result_.frames.push_back(left);
    } else {
      bottom.push_back(left);
    }
    if (bottom.size() > most_at_bottom) {
      bottom.pop_front();
      ++result_.elided_frames;
    }
    if (goes_on && result_.elided_frames == kMostElided) {
      stop("frame limit");
      break;
    }
    if (!goes_on) {
      break;
    }
    ++number_;
  }
  if (result_.elided_frames > 0) {
    result_.elided_after = result_.frames.size();
  }
  result_.frames.insert(result_.frames.end(), bottom.begin(), bottom.end());
  return std::move(result_);
}

bool Walker::stop(std::string reason) {
  result_.stop_reason = std::move(reason);
  return false;
}

// Once for each damage: after a scan a table that needs a forgotten register is no news.
void Walker::note(const std::string& what) {
  if (frame_.trust != Trust::scan) {
    result_.soft_errors.push_back("frame " + std::to_string(number_) + ": " + what +
                                  "; what follows comes from a scan of the stack");
  }
}

bool Walker::same_stack(uint64_t address) const {
  const Mapping* stack = modules_.stack_of(registers_.sp());
  return stack != nullptr && address >= stack->start && address < stack->end;
}

bool Walker::at_restorer() const {
  return is_restorer(architecture_, registers_.pc(), registers_.sp(), memory_);
}

std::shared_ptr<const Interrupted> Walker::interrupted_context() const {
  const auto found = read_signal_frame(architecture_, registers_.sp(), dead_, memory_);
  return found ? std::make_shared<const Interrupted>(*found) : nullptr;
}

bool Walker::step() {
  in_signal_frame_ = false;
  context_ = nullptr;
  if (!modules_.has_mappings()) {
    return stop("no memory map");
  }
  if (interrupted_ && !modules_.is_executable(registers_.pc())) {
    return step_out_of_nowhere();
  }
  const std::optional<size_t> module = modules_.find(frame_.lookup);
  const LoadedModule* loaded = module ? &modules_.modules()[*module] : nullptr;
  if (loaded != nullptr && loaded->image &&
      loaded->image->architecture() ==
          (layout_.word_size == 4 ? Architecture::i386 : Architecture::x86_64)) {
    return step_by_table(*loaded->image, loaded->module.load_bias);
  }
  return step_without_table();
}

bool Walker::step_by_table(ElfImage& image, uint64_t load_bias) {
  const CfiStep step = step_by_cfi(image, load_bias, frame_.lookup, registers_, memory_);
  if (!step.signal_frame && at_restorer()) {
    return step_out_of_signal_frame();
  }
  in_signal_frame_ = step.signal_frame;
  switch (step.outcome) {
    case CfiStep::Outcome::end_of_stack:
      return stop("end of stack");
    case CfiStep::Outcome::no_table: {
      const std::string& function = image.resolve(frame_.lookup - load_bias).raw_function;
      if (function == "_start" || function == "_dl_start_user") {
        return stop("end of stack");
      }
      return step_without_table();
    }
    case CfiStep::Outcome::unreadable:
      if (same_stack(step.address)) {
        return skip_to_captured(step.address);
      }
      note("its return address would be at " + hex(step.address) +
           ", outside the stack: the stack is damaged");
      return scan(registers_.sp());
    case CfiStep::Outcome::unusable:
      note(step.why);
      return scan(registers_.sp());
    case CfiStep::Outcome::caller:
      break;
  }
  const uint64_t pc = step.registers.pc();
  if (!step.signal_frame && pc == 0) {
    return stop("end of stack");
  }
  if (!step.signal_frame && !modules_.is_executable(pc - 1)) {
    note("its return address " + hex(pc) + " points to no code: the stack is damaged");
    const bool above = step.cfa > registers_.sp() && same_stack(step.cfa);
    return scan(above ? step.cfa : registers_.sp());
  }
  if (step.signal_frame) {
    // Code that is no restorer may have the same mark, to say that it was not called.
    context_ = interrupted_context();
    if (context_ &&
        (context_->registers.rip != pc || context_->registers.rsp != step.registers.sp())) {
      context_ = nullptr;
    }
  }
  return move_to(step.registers, Trust::cfi, step.signal_frame);
}

bool Walker::step_out_of_signal_frame() {
  in_signal_frame_ = true;
  context_ = interrupted_context();
  if (!context_) {
    return stop("no memory at " + hex(registers_.sp()));
  }
  return move_to(RegisterSet(context_->registers, architecture_), Trust::context, true);
}

// The stack may have been captured from both of its ends.
bool Walker::skip_to_captured(uint64_t address) {
  const std::optional<uint64_t> next = memory_.next_captured(address);
  if (!next || !same_stack(*next)) {
    return stop("no memory at " + hex(address));
  }
  note("the stack was not captured from " + hex(address) + " to " + hex(*next));
  return scan(*next);
}

// The program jumped to where no code is. If it got there by a call, the stack is as the call left
// it.
bool Walker::step_out_of_nowhere() {
  const std::optional<uint64_t> word = memory_.read_number(registers_.sp(), layout_.word_size);
  if (!word) {
    return stop("no memory at " + hex(registers_.sp()));
  }
  if (!is_return_address(*word, modules_, memory_)) {
    return scan(registers_.sp());
  }
  RegisterSet caller = registers_;
  caller.set(layout_.pc, *word);
  caller.set(layout_.sp, registers_.sp() + layout_.word_size);
  return move_to(caller, Trust::frame_pointer, false);
}

bool Walker::step_without_table() {
  if (at_restorer()) {
    return step_out_of_signal_frame();
  }
  if (registers_.sp() == stack_start_) {
    return stop("end of stack");  // where the kernel put the arguments of the process
  }
  return step_by_frame_pointer() || scan(registers_.sp());
}

// [fp] is the caller's frame pointer, the word above it the return address (x86-64 psABI, 3.2.2).
bool Walker::step_by_frame_pointer() {
  const std::optional<uint64_t> fp = registers_.fp();
  if (!fp || *fp < registers_.sp() || *fp % layout_.word_size != 0 || !same_stack(*fp)) {
    return false;
  }
  const auto saved = memory_.read_number(*fp, layout_.word_size);
  const auto pc = memory_.read_number(*fp + layout_.word_size, layout_.word_size);
  if (!saved || !pc || !is_return_address(*pc, modules_, memory_)) {
    return false;
  }
  move_blindly(*pc, *fp + 2 * layout_.word_size, *saved, Trust::frame_pointer);
  return true;
}

bool Walker::scan(uint64_t from) {
  const size_t word = layout_.word_size;
  const bool ends_in_arguments = stack_start_ != 0 && same_stack(stack_start_);
  uint64_t place = (from + word - 1) / word * word;
  for (size_t i = 0; i < kScannedWords; ++i, place += word) {
    if (place >= stack_start_ && ends_in_arguments) {
      return stop("end of stack");
    }
    const std::optional<uint64_t> pc = memory_.read_number(place, word);
    if (!pc) {
      return stop("no memory at " + hex(place));
    }
    if (is_return_address(*pc, modules_, memory_)) {
      move_blindly(*pc, place + word, registers_.fp(), Trust::scan);
      return true;
    }
  }
  return stop("no return address found from " + hex(from));
}

bool Walker::move_to(const RegisterSet& caller, Trust trust, bool left_signal_frame) {
  const bool forward = caller.sp() > registers_.sp();
  const bool may_go_back = left_signal_frame || !same_stack(caller.sp());
  if (!forward && (!may_go_back || ++stack_switches_ > kMostStackSwitches)) {
    return stop("frame did not advance");
  }
  registers_ = caller;
  interrupted_ = left_signal_frame;
  frame_ = {caller.pc(), left_signal_frame ? caller.pc() : caller.pc() - 1, trust, false, nullptr};
  return true;
}

void Walker::move_blindly(uint64_t pc, uint64_t sp, std::optional<uint64_t> fp, Trust trust) {
  for (size_t number = 0; number < layout_.count; ++number) {
    registers_.forget(number);
  }
  registers_.set(layout_.pc, pc);
  registers_.set(layout_.sp, sp);
  if (fp && *fp >= sp) {
    registers_.set(layout_.fp, *fp);
  }
  interrupted_ = false;
  frame_ = {pc, pc - 1, trust, false, nullptr};
}

}  // namespace

StackWalk walk_stack(const RawThread& thread, Architecture architecture, uint64_t stack_start,
                     const ModuleMap& modules, const AddressSpace& memory, size_t most_frames,
                     uint64_t behind) {
  return Walker(thread, architecture, stack_start, modules, memory).walk(most_frames, behind);
}

}  // namespace crashcrawler
