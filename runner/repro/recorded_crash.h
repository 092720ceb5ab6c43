// What a report says of how a crash came about: all that it takes to try again.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "runner/base/result.h"
#include "runner/model/inherited.h"
#include "runner/results/report_file.h"

namespace crashcrawler {

struct Fingerprint {
  std::string algorithm, hash;

  bool operator==(const Fingerprint&) const = default;
};

struct RecordedModule {
  std::string path, build_id;  // build_id empty: not known
  bool is_packaged = false;    // it came with the system, and an image has its own
};

// The settings of --chaos of the attempt in which it crashed.
struct RecordedChaos {
  uint64_t seed = 0;
  int number = 1;
  bool randomizes_addresses = true;
};

// Texts are as the report has them: not fit for a terminal.
struct RecordedCrash {
  std::string id;
  Fingerprint fingerprint;
  std::vector<std::string> command;
  std::string working_directory;  // absolute
  Inherited inherited;            // empty when it was not recorded
  std::string only;               // what --only takes; empty: the whole command is needed
  std::optional<std::chrono::milliseconds> timeout;  // of the run, when it was over
  std::string program, build_id;                     // the file that crashed
  std::string process_directory;                     // its working directory
  std::vector<RecordedModule> modules;
  std::optional<RecordedChaos> chaos;
  std::optional<double>
      least_rate;  // of a run of many attempts: the lower end of the share that crashed so
  std::string container_image;  // that the run was in; empty: none, or not known
};

// The fingerprint of a crash in either file.
Fingerprint fingerprint_of(const Json& crash);

// From report.json and crashes/<id>.json. Error: the report does not hold what it takes, and what that is.
Result<RecordedCrash> recorded_crash(const Json& report, const Json& crash);

}  // namespace crashcrawler
