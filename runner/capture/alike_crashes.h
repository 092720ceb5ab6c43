// The same crash thousands of times, as when a command is run until something happens: its snapshots would fill the memory.
//
// Which crashes are the same is known by their signatures, and those only after unwinding. What is known before is
// where the instruction lies in its file; the first so many crashes of one such place are kept whole, and of the rest that they
// happened. Folders do not count: a test that copies its programs to a new one each time would have all of them open, and kept
// whole, until the run ends; the size of the code does instead. Two different crashes with the same innermost instruction (in abort(3), say) share a place: more of them are
// kept than reports need, so that rare ones have a chance to be among them.
#pragma once

#include <cstddef>
#include <map>
#include <string>

#include "runner/model/raw_crash.h"

namespace crashcrawler {

// Names of executable and file, signal, and the instruction as an offset. Of crashes that are probably the same the same.
std::string place_of(const RawCrash& crash);

class AlikeCrashes {
 public:
  void keep_whole(size_t most) { most_ = most; }  // of each place; 0: all

  // Fills crash.place and counts it. Called once for each crash.
  bool is_wanted_whole(RawCrash& crash);

 private:
  size_t most_ = 0;
  std::map<std::string, size_t> seen_;
};

// Drops what takes up memory and marks the crash.
void abridge(RawCrash& crash);

}  // namespace crashcrawler
