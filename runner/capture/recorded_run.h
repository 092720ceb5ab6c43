// What the reports need of a run and its records do not hold, as JSON and back.
#pragma once

#include <string>

#include "runner/base/result.h"
#include "runner/capture/crash_source.h"
#include "runner/model/session.h"

namespace crashcrawler {

struct RecordedRun {
  Session session;  // without crashes and health
  Circumstances circumstances;
  std::string not_captured;  // why nothing was; empty: it was
};

// What is known before the command starts.
std::string run_to_text(const Session& session, const Circumstances& circumstances);

// Error: not such a text, or its records have another layout than ours.
Result<RecordedRun> run_from_text(const std::string& text);

// How it ended.
std::string outcome_to_text(const Session& session, const std::string& not_captured);

// Adds that to `run`. Error: not such a text; `run` is then as it was.
Result<void> add_outcome(const std::string& text, RecordedRun& run);

}  // namespace crashcrawler
