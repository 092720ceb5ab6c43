// Whether a crash has come back: what the report of the new run says.
#pragma once

#include <string>
#include <vector>

#include "runner/repro/recorded_crash.h"

namespace crashcrawler {

struct OtherCrash {
  std::string id, cause, hash;  // of the first
  size_t attempts = 0;          // in which one with this fingerprint came
};

struct Recurrence {
  size_t attempts = 0;  // that were made
  size_t same = 0;      // of them those in which the same crash came
  std::string same_id;  // of the first; empty: it did not come
  std::vector<OtherCrash> others;
  bool is_complete = true;  // false: for a part of the run nobody was watching
  bool was_interrupted = false;
  std::string backend;  // "bpf" or "ptrace"
};

Recurrence recurrence_of(const Json& report, const Fingerprint& fingerprint);

// For a person, a line each. `directory`: where the new reports are.
std::vector<std::string> in_words(const Recurrence& recurrence, const Fingerprint& fingerprint,
                                  const std::string& directory);

// One line for each file of the crash that had another build-id than the recorded one.
std::vector<std::string> different_files(const RecordedCrash& recorded, const Json& again);

}  // namespace crashcrawler
