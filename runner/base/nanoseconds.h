// Times as one number: nanoseconds since the beginning of their clock.
#pragma once

#include <chrono>
#include <cstdint>
#include <ctime>

namespace crashcrawler {

inline int64_t nanoseconds(const timespec& time) {
  return int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

inline int64_t nanoseconds(std::chrono::system_clock::time_point time) {
  return std::chrono::nanoseconds(time.time_since_epoch()).count();
}

}  // namespace crashcrawler
