// The crashes of a run that was recorded (recording.h). The file may hold anything.
#pragma once

#include <string>
#include <string_view>

#include "runner/base/result.h"
#include "runner/base/unique_fd.h"
#include "runner/capture/crash_source.h"
#include "runner/capture/messages.h"
#include "runner/capture/recorded_run.h"

namespace crashcrawler {

struct Replayed {
  Session session;  // without crashes and health
  Captured captured;
};

class RecordedSource {
 public:
  // Error: it cannot be read, is no recording, or one that this version does not understand.
  static Result<RecordedSource> open(const std::string& path);

  // Everything that was recorded; the files that were mapped are opened as they are now. A
  // recording that is cut is marked in captured.health. To be called once.
  Replayed finish();

 private:
  explicit RecordedSource(UniqueFd file);

  UniqueFd file_;
  MessageReader reader_;
  std::string_view batch_;  // read and not looked at yet
  RecordedRun run_;
};

}  // namespace crashcrawler
