#include "runner/capture/crash_source.h"

#include <unistd.h>

#include <ctime>

namespace crashcrawler {

Circumstances circumstances_now() {
  timespec boot{};
  ::clock_gettime(CLOCK_BOOTTIME, &boot);
  const auto since_boot =
      std::chrono::seconds(boot.tv_sec) + std::chrono::nanoseconds(boot.tv_nsec);
  return {::getpid(), std::chrono::system_clock::now().time_since_epoch() - since_boot};
}

Captured nothing_captured(const std::string& why) {
  Captured nothing;
  nothing.health.complete = false;
  nothing.health.degraded.push_back(
      "nothing could be captured, so crashes may have happened unseen: " + why);
  return nothing;
}

}  // namespace crashcrawler
