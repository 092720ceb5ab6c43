// Work on hostile input, item by item, in a forked child that may die, hang or swell without harm.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "runner/base/result.h"

namespace crashcrawler {

struct ChildLimits {
  std::chrono::seconds per_item{20};  // wall time and processor time
  size_t memory = size_t{4} << 30;    // bytes of address space beyond what the child inherits
  std::vector<int> open_files;        // the file descriptors that `work` needs; others are closed
};

// Calls work(0), work(1), ... in a child and deliver(i, its bytes) here, in order. An item during
// which the child dies or runs over a limit is delivered as an error that says how, and a new child
// goes on with the next one; it is a fork of this process at that moment, so what `deliver` has
// changed is seen by `work` from then on.
void work_in_child(size_t items, const ChildLimits& limits,
                   const std::function<std::string(size_t)>& work,
                   const std::function<void(size_t, Result<std::string>)>& deliver);

// Exit status of a child that could not get memory.
constexpr int kChildOutOfMemory = 77;

}  // namespace crashcrawler
