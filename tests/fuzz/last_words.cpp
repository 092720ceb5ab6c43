// Memory of a process that aborted -> what it said last: one line, with nothing in it that a terminal obeys.
#include "runner/classify/last_words.h"

#include <algorithm>
#include <csignal>
#include <cstring>

#include "tests/fuzz/fuzz.h"

using namespace crashcrawler;

// The input: the address of the exception, then pieces of memory, each with address, length (8 and 2 bytes) and bytes.
// What is left is the message of the C library.
int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view rest = fuzz::text_of(data, size);
  const auto number = [&](size_t bytes) {
    uint64_t value = 0;
    const size_t taken = std::min(bytes, rest.size());
    std::memcpy(&value, rest.data(), taken);
    rest.remove_prefix(taken);
    return value;
  };
  RawCrash crash;
  crash.signal.number = SIGABRT;
  crash.exception = number(8);
  while (rest.size() > 10) {
    const uint64_t address = number(8);
    const auto length = number(2);
    const std::string_view bytes = rest.substr(0, length);
    rest.remove_prefix(bytes.size());
    crash.memory.push_back({address, std::string(bytes)});
  }
  crash.abort_message = rest;
  for (const char* function : {"abort", "std::terminate()"}) {
    Backtrace backtrace;
    Frame frame;
    frame.function = function;
    backtrace.threads.emplace_back().frames = {frame};
    fuzz::require(last_words(crash, backtrace).find('\n') == std::string::npos);
  }
  return 0;
}
