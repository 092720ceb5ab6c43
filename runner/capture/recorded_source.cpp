#include "runner/capture/recorded_source.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <utility>

#include "runner/capture/recording.h"
#include "runner/capture/run_assembler.h"

namespace crashcrawler {
namespace {

// No command line is longer (execve(2) allows a quarter of the stack's limit, at most 6 MiB), nor
// is what else is said about a run.
constexpr size_t kLongestText = 32 << 20;

Result<UniqueFd> open_recording(const std::string& path) {
  UniqueFd file(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  struct stat status {};
  if (!file || ::fstat(file.get(), &status) != 0) {
    return errno_error("cannot open " + path);
  }
  if (!S_ISREG(status.st_mode)) {
    return Error{path + " is not a regular file"};
  }
  char bytes[kRecordingMagic.size()];
  const ssize_t got = ::read(file.get(), bytes, sizeof bytes);
  const std::string_view begins(bytes, got > 0 ? static_cast<size_t>(got) : 0);
  if (!begins.starts_with(kRecordingName)) {
    return Error{path + " is no recording: --replay takes what --record wrote"};
  }
  if (begins != kRecordingMagic) {
    return Error{path +
                 " is a recording of another format; replay it with the version that recorded it"};
  }
  return file;
}

}  // namespace

RecordedSource::RecordedSource(UniqueFd file) : file_(std::move(file)), reader_(file_.get()) {}

Result<RecordedSource> RecordedSource::open(const std::string& path) {
  Result<UniqueFd> file = open_recording(path);
  if (!file) {
    return file.error();
  }
  RecordedSource source(std::move(*file));
  std::string text;
  while (text.size() < kLongestText &&
         (!source.batch_.empty() || !(source.batch_ = source.reader_.next_batch()).empty()) &&
         type_of(source.batch_) == kRunMessage) {
    text += text_of(take_message(source.batch_));
  }
  Result<RecordedRun> run = run_from_text(text);
  if (!run) {
    return run.error().in(path + " cannot be replayed");
  }
  source.run_ = std::move(*run);
  return source;
}

Replayed RecordedSource::finish() {
  RunAssembler assembler(run_.circumstances);
  std::string outcome;
  do {
    while (!batch_.empty()) {
      const std::string_view message = take_message(batch_);
      if (type_of(message) == kOutcomeMessage && outcome.size() < kLongestText) {
        outcome += text_of(message);
      } else if (!assembler.has_ended()) {
        assembler.take(message);
      }
    }
  } while (!(batch_ = reader_.next_batch()).empty());

  const Result<void> ended = add_outcome(outcome, run_);
  Captured captured =
      run_.not_captured.empty() ? assembler.finish() : nothing_captured(run_.not_captured);
  if (!ended) {
    captured.health.complete = false;
    captured.health.degraded.push_back("the recording is cut or damaged: " + ended.error().message);
  }
  return {std::move(run_.session), std::move(captured)};
}

}  // namespace crashcrawler
