// What the child that parses ELF files sends -> a backtrace, or an error. What was taken comes back the same from a
// second trip.
#include "runner/unwind/wire.h"
#include "tests/fuzz/fuzz.h"

using namespace crashcrawler;

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const Result<Backtrace> backtrace = from_wire(fuzz::text_of(data, size));
  if (backtrace) {
    const std::string bytes = to_wire(*backtrace);
    const Result<Backtrace> again = from_wire(bytes);
    fuzz::require(again && to_wire(*again) == bytes);
    for (const ThreadBacktrace& thread : backtrace->threads) {
      for (const Frame& frame : thread.frames) {
        fuzz::require(!frame.module || *frame.module < backtrace->modules.size());
      }
    }
  }
  return 0;
}
