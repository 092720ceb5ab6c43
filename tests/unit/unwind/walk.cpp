#include "tests/unit/unwind/walk.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

namespace crashcrawler::tests {

namespace {

constexpr size_t kBudget = size_t{1} << 30;

bool is_word(const LiveSnapshot& snapshot, uint64_t address, uint64_t value) {
  return AddressSpace(snapshot.crash).read_number(address, 8) == value;
}

}  // namespace

Walk::Walk(std::unique_ptr<LiveSnapshot> owned, const LiveSnapshot* borrowed, size_t most_frames)
    : owned_(std::move(owned)),
      snapshot_(owned_ ? *owned_ : *borrowed),
      images_(snapshot_.files, kBudget),
      modules_(snapshot_.crash, snapshot_.files, images_),
      memory_(snapshot_.crash) {
  modules_.add_code(memory_);
  const RawCrash& crash = snapshot_.crash;
  result = walk_stack(crash.threads.at(0), crash.architecture, crash.stack_start, modules_, memory_,
                      most_frames);
}

std::string Walk::function(size_t frame) const {
  if (frame >= result.frames.size()) {
    return "no frame";
  }
  const uint64_t address = result.frames[frame].lookup;
  const std::optional<size_t> module = modules_.find(address);
  if (!module || !modules_.modules()[*module].image) {
    return "?";
  }
  const LoadedModule& loaded = modules_.modules()[*module];
  return loaded.image->resolve(address - loaded.module.load_bias).function;
}

std::vector<std::string> Walk::functions(size_t count) const {
  std::vector<std::string> names;
  for (size_t i = 0; i < count; ++i) {
    names.push_back(function(i));
  }
  return names;
}

std::vector<Trust> Walk::trusts(size_t count) const {
  std::vector<Trust> trusts;
  for (size_t i = 0; i < std::min(count, result.frames.size()); ++i) {
    trusts.push_back(result.frames[i].trust);
  }
  return trusts;
}

size_t Walk::signal_frame() const {
  const auto found = std::find_if(result.frames.begin(), result.frames.end(),
                                  [](const WalkedFrame& frame) { return frame.signal_frame; });
  return static_cast<size_t>(found - result.frames.begin());
}

uint64_t place_of_word(const LiveSnapshot& snapshot, uint64_t value) {
  for (const MemoryRange& range : snapshot.crash.threads.at(0).stack) {
    for (uint64_t at = (range.address + 7) / 8 * 8; at + 8 <= range.end(); at += 8) {
      if (is_word(snapshot, at, value)) {
        return at;
      }
    }
  }
  ADD_FAILURE() << hex(value) << " is not on the stack";
  return 0;
}

void set_word(LiveSnapshot& snapshot, uint64_t address, uint64_t value) {
  for (MemoryRange& range : snapshot.crash.threads.at(0).stack) {
    if (address >= range.address && address + 8 <= range.end()) {
      std::memcpy(range.bytes.data() + (address - range.address), &value, 8);
      return;
    }
  }
  ADD_FAILURE() << hex(address) << " was not captured";
}

void set_stack(LiveSnapshot& snapshot, const std::vector<uint64_t>& words) {
  RawThread& thread = snapshot.crash.threads.at(0);
  std::string bytes(words.size() * 8, '\0');
  std::memcpy(bytes.data(), words.data(), bytes.size());
  thread.stack = {{thread.registers.rsp, bytes}};
}

}  // namespace crashcrawler::tests
