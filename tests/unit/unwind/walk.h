// Walks over the captured stack of a crash, for tests.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "runner/unwind/address_space.h"
#include "runner/unwind/image_cache.h"
#include "runner/unwind/modules.h"
#include "runner/unwind/stepper.h"
#include "tests/support/live_snapshot.h"

namespace crashcrawler::tests {

// The stack of the crashing thread, and names for its frames.
class Walk {
 public:
  explicit Walk(LiveSnapshot&& snapshot, size_t most_frames = 1024)
      : Walk(std::make_unique<LiveSnapshot>(std::move(snapshot)), nullptr, most_frames) {}
  explicit Walk(const LiveSnapshot& snapshot, size_t most_frames = 1024)
      : Walk(nullptr, &snapshot, most_frames) {}

  // "?" outside of modules.
  std::string function(size_t frame) const;

  // The functions of the first frames.
  std::vector<std::string> functions(size_t count) const;

  std::vector<Trust> trusts(size_t count) const;

  // The index of the first signal frame; the number of frames when there is none.
  size_t signal_frame() const;

  StackWalk result;

 private:
  Walk(std::unique_ptr<LiveSnapshot> owned, const LiveSnapshot* borrowed, size_t most_frames);

  std::unique_ptr<LiveSnapshot> owned_;
  const LiveSnapshot& snapshot_;
  ImageCache images_;
  ModuleMap modules_;
  AddressSpace memory_;
};

// Where in the captured stack of the crashing thread the word `value` lies first; 0 and a failure of the test: nowhere.
uint64_t place_of_word(const LiveSnapshot& snapshot, uint64_t value);

void set_word(LiveSnapshot& snapshot, uint64_t address, uint64_t value);

// One piece of stack with these words; the stack pointer points to its first.
void set_stack(LiveSnapshot& snapshot, const std::vector<uint64_t>& words);

// Functions of programs/stacks.cpp.
inline constexpr const char* kInner = "void shop::inner<int>(int*)";
inline constexpr const char* kMiddle = "shop::middle(int*)";
inline constexpr const char* kOuter = "shop::outer(int*)";
inline constexpr const char* kRun = "shop::run(char const*)";

}  // namespace crashcrawler::tests
