// A file for --replay -> a run, or an error. What it says was mapped is opened as a replay would, below names that the
// input chooses: nothing is written and nothing blocks.
#include "runner/capture/recorded_source.h"
#include "tests/fuzz/fuzz.h"

using namespace crashcrawler;

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const UniqueFd file = fuzz::file_with(fuzz::text_of(data, size));
  Result<RecordedSource> source =
      RecordedSource::open("/proc/self/fd/" + std::to_string(file.get()));
  if (source) {
    const Replayed run = source->finish();
    fuzz::require(run.session.crashes.empty());
  } else {
    fuzz::require(!source.error().message.empty());
  }
  return 0;
}
