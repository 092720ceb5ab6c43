// Records, as bpf/crash_event.h defines them, become RawCrash values: the part of capture that
// needs no privilege.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "bpf/crash_event.h"
#include "runner/model/raw_crash.h"

namespace crashcrawler {

struct PendingCrash;

class CrashAssembler {
 public:
  // Called once for each crash, at its EXIT record: the moment to open files and to look at
  // parents.
  using CompletedHook = std::function<void(RawCrash&)>;

  // `boot_to_wall`: what makes a time of CLOCK_BOOTTIME one of the wall clock.
  CrashAssembler(CompletedHook completed, std::chrono::nanoseconds boot_to_wall);
  ~CrashAssembler();

  // One record, header included. Nothing it can hold makes this fail: a record that is cut short,
  // of an unknown kind or out of order marks its crash (soft_errors), or is counted when it names
  // no crash at all.
  void feed(std::string_view record);

  // Everything that was seen, in the order of death; crashes without an EXIT record are marked.
  // Empty afterwards.
  std::vector<RawCrash> take();

  // Copies of the crashes that were completed since the last call, in the order of death.
  std::vector<RawCrash> fresh_crashes();

  uint64_t malformed_records() const { return malformed_; }

 private:
  PendingCrash& pending_for(const cc_key& key);
  void complete(PendingCrash& pending);

  CompletedHook completed_;
  std::chrono::nanoseconds boot_to_wall_;
  std::map<std::pair<uint32_t, uint64_t>, size_t> index_;
  std::vector<std::unique_ptr<PendingCrash>> order_;
  std::vector<size_t> fresh_;  // places in order_ that fresh_crashes() has not told
  uint64_t malformed_ = 0;
};

}  // namespace crashcrawler
