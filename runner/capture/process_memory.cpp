// process_vm_readv(2) first: one call. Some containers allow ptrace(2) and forbid this one by seccomp; proc_pid_mem(5)
// asks for the same right and can be read there.
#include "runner/capture/process_memory.h"

#include <fcntl.h>
#include <sys/ptrace.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>

#include "runner/base/unique_fd.h"

namespace crashcrawler {

std::string ProcessMemory::read(uint64_t address, size_t length) const {
  std::string bytes(length, '\0');
  const iovec here{bytes.data(), bytes.size()};
  const iovec there{reinterpret_cast<void*>(address), length};
  ssize_t got = ::process_vm_readv(tid_, &here, 1, &there, 1, 0);
  if (got < 0 && (errno == EPERM || errno == ENOSYS)) {
    const std::string path = "/proc/" + std::to_string(tid_) + "/mem";
    const UniqueFd memory(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    got = ::pread(memory.get(), bytes.data(), bytes.size(), static_cast<off_t>(address));
  }
  return got == static_cast<ssize_t>(length) ? bytes : "";
}

std::string ProcessMemory::string_at(uint64_t address, size_t most) const {
  constexpr size_t kPage = 4096;
  std::string text;
  while (text.size() < most) {
    const size_t length = std::min(most - text.size(), kPage - address % kPage);
    const std::string piece = read(address, length);
    text += piece.substr(0, piece.find('\0'));
    if (piece.empty() || piece.find('\0') != std::string::npos) {
      break;
    }
    address += length;
  }
  return text;
}

std::optional<user_regs_struct> registers_of(pid_t tid) {
  user_regs_struct registers{};
  if (::ptrace(PTRACE_GETREGS, tid, nullptr, &registers) != 0) {
    return std::nullopt;
  }
  return registers;
}

}  // namespace crashcrawler
