#include "runner/capture/alike_crashes.h"

#include <algorithm>
#include <type_traits>

#include "runner/base/hex.h"

namespace crashcrawler {

namespace {

std::string name_of(const std::string& path) {
  return path.substr(path.rfind('/') + 1);
}

}  // namespace

std::string place_of(const RawCrash& crash) {
  std::string place = name_of(crash.executable) + " " +
                      std::to_string(static_cast<int>(crash.cause)) + " " +
                      std::to_string(crash.signal.number);
  const auto thread = std::ranges::find(crash.threads, true, &RawThread::crashed);
  if (thread == crash.threads.end()) {
    return place;
  }
  const uint64_t instruction = thread->registers.rip;
  for (const Mapping& mapping : crash.mappings) {
    if (mapping.start <= instruction && instruction < mapping.end && !mapping.path.empty()) {
      return place + " " + name_of(mapping.path) + " " + hex(mapping.end - mapping.start) + " " +
             hex(instruction - mapping.start + mapping.file_offset);
    }
  }
  return place + " outside of all files";  // its address says nothing: it is another one each time
}

bool AlikeCrashes::is_wanted_whole(RawCrash& crash) {
  if (most_ == 0) {
    return true;
  }
  crash.place = place_of(crash);
  return ++seen_[crash.place] <= most_;
}

// Assigning {} would keep what has been allocated.
void abridge(RawCrash& crash) {
  const auto let_go = [](auto&... parts) {
    (std::remove_reference_t<decltype(parts)>().swap(parts), ...);
  };
  crash.abridged = true;
  let_go(crash.threads, crash.mappings, crash.memory, crash.environment, crash.arguments,
         crash.report_text, crash.auxv);
}

}  // namespace crashcrawler
