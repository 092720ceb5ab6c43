// Records of the kernel side -> crashes, each handed over exactly once.
#include <algorithm>
#include <cstring>

#include "runner/capture/crash_assembler.h"
#include "tests/fuzz/fuzz.h"

using namespace crashcrawler;

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  size_t completed = 0;
  CrashAssembler assembler([&](RawCrash&) { ++completed; }, std::chrono::nanoseconds(1));
  std::string_view rest = fuzz::text_of(data, size);
  while (!rest.empty()) {
    uint32_t length = 0;
    if (rest.size() >= sizeof(cc_record)) {
      std::memcpy(&length, rest.data() + offsetof(cc_record, size), sizeof length);
    }
    // What the record claims, or what is there: the decoder has to see both kinds of lie.
    const std::string record(rest.substr(0, std::max<size_t>(length, 1)));
    assembler.feed(record);
    rest.remove_prefix(record.size());
  }
  const std::vector<RawCrash> crashes = assembler.take();
  fuzz::require(completed <= crashes.size());
  for (const RawCrash& crash : crashes) {
    for (const RawThread& thread : crash.threads) {
      uint64_t end = 0;
      for (const MemoryRange& range : thread.stack) {
        fuzz::require(range.address >= end);
        end = range.end();
      }
    }
  }
  fuzz::require(assembler.take().empty());
  return 0;
}
