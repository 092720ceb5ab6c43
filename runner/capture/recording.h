// --record: a run as a file, from which --replay makes the same reports.
//
//   crashcrawler-recording 1\n   the version of this format
//   RUN+                         JSON: what is known before the command starts
//   READY cc_record* END         the probe's messages as they came (probe_protocol.h)
//   OUTCOME+                     JSON: how the run ended
//
// RUN and OUTCOME are messages like the others; a text longer than a message may be is several of
// them. A file without OUTCOME was cut: crashcrawler-run did not live to the end, or the disk was
// full. It replays with what is there, and says so.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "runner/base/result.h"
#include "runner/base/unique_fd.h"
#include "runner/capture/crash_source.h"
#include "runner/model/session.h"

namespace crashcrawler {

constexpr std::string_view kRecordingName = "crashcrawler-recording ";
constexpr std::string_view kRecordingMagic = "crashcrawler-recording 1\n";

constexpr uint16_t kRunMessage = 0x301, kOutcomeMessage = 0x302;

class Recording {
 public:
  // One that keeps nothing.
  Recording() = default;

  // Creates or empties the file, for its owner alone (it will hold memory of processes), and writes
  // what is known of the run. Error: not a regular file, or not writable.
  static Result<Recording> create(const std::string& path, const Session& session,
                                  const Circumstances& circumstances);

  // Whole messages of the probe. Written before this returns. A failure ends the recording and is
  // told by end().
  void append(std::string_view messages);

  // The run is over and was `session`; `not_captured`: why nothing was, empty if it was. To be
  // called once. Error: the recording is not whole, and why.
  Result<void> end(const Session& session, const std::string& not_captured);

 private:
  void append_text(uint16_t type, std::string_view text);

  UniqueFd file_;
  std::string path_;
  Result<void> written_;
};

}  // namespace crashcrawler
