// process_vm_readv(2) first: one call. Some containers allow ptrace(2) and forbid this one by seccomp; proc_pid_mem(5)
// asks for the same right and can be read there. Both ask whether we might attach now, of another user's process that is
// CAP_SYS_PTRACE. PTRACE_PEEKDATA asks only whether we have, and that the process is dumpable (ptrace_access_vm(),
// kernel/ptrace.c): that is left for a child that has become somebody else, word by word.
#include "runner/capture/process_memory.h"

#include <fcntl.h>
#include <sys/ptrace.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>

#include "runner/base/unique_fd.h"

namespace crashcrawler {

namespace {

// All of the bytes, or none. `tid`: a thread in a ptrace-stop of ours.
std::string peek(pid_t tid, uint64_t address, size_t length) {
  constexpr uint64_t kWord = sizeof(long);
  const uint64_t first = address / kWord * kWord;
  std::string bytes;
  while (bytes.size() < address - first + length) {
    errno = 0;
    const long word = ::ptrace(PTRACE_PEEKDATA, tid, first + bytes.size(), nullptr);
    if (errno != 0) {
      return "";
    }
    bytes.append(reinterpret_cast<const char*>(&word), sizeof word);
  }
  return bytes.substr(address - first, length);
}

}  // namespace

std::string ProcessMemory::read(uint64_t address, size_t length) const {
  std::string bytes(length, '\0');
  const iovec here{bytes.data(), bytes.size()};
  const iovec there{reinterpret_cast<void*>(address), length};
  ssize_t got = ::process_vm_readv(tid_, &here, 1, &there, 1, 0);
  if (got < 0 && (errno == EPERM || errno == ENOSYS)) {
    const std::string path = "/proc/" + std::to_string(tid_) + "/mem";
    const UniqueFd memory(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!memory) {
      return peek(tid_, address, length);
    }
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
