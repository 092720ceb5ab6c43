// What comes over the probe's socket -> what was captured.
#include "runner/capture/messages.h"
#include "runner/capture/run_assembler.h"
#include "tests/fuzz/fuzz.h"

using namespace crashcrawler;

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const UniqueFd stream = fuzz::file_with(fuzz::text_of(data, size));
  MessageReader reader(stream.get());
  RunAssembler assembler(Circumstances{1, {}});
  size_t taken = 0;
  for (std::string_view batch; !(batch = reader.next_batch()).empty();) {
    while (!batch.empty()) {
      const std::string_view message = take_message(batch);
      fuzz::require(message.size() >= sizeof(MessageHeader) && message.size() <= kMaxMessageBytes);
      taken += message.size();
      if (!assembler.has_ended()) {
        assembler.take(message);
      }
    }
  }
  fuzz::require(taken <= size);
  assembler.finish();
  return 0;
}
