// The memory of a process that we may trace, and the registers of a thread that stands still for us.
#pragma once

#include <sys/types.h>
#include <sys/user.h>

#include <cstdint>
#include <cstring>
#include <optional>
#include <string>

namespace crashcrawler {

class ProcessMemory {
 public:
  // `tid`: a thread that has not ended, for with it its view of the memory is gone.
  explicit ProcessMemory(pid_t tid) : tid_(tid) {}

  // All of the bytes, or none: some were not there, or are not ours to read.
  std::string read(uint64_t address, size_t length) const;

  // Zeros where nothing can be read.
  template <typename T>
  T at(uint64_t address) const {
    T value{};
    const std::string bytes = read(address, sizeof value);
    std::memcpy(&value, bytes.data(), bytes.size());
    return value;
  }

  // Up to a NUL, or to what cannot be read, `most` bytes at most.
  std::string string_at(uint64_t address, size_t most) const;

 private:
  pid_t tid_;
};

// Of a thread in a ptrace-stop of ours. nullopt: it is not, or was killed meanwhile.
std::optional<user_regs_struct> registers_of(pid_t tid);

}  // namespace crashcrawler
