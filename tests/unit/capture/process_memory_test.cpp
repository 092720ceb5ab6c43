#include "runner/capture/process_memory.h"

#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstddef>

namespace crashcrawler {
namespace {

uint64_t address_of(const void* place) {
  return reinterpret_cast<uint64_t>(place);
}

TEST(ProcessMemory, AllOrNothing) {
  constexpr size_t kPage = 4096;
  auto* pages = static_cast<char*>(
      ::mmap(nullptr, 2 * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  ASSERT_NE(pages, MAP_FAILED);
  ::munmap(pages + kPage, kPage);
  pages[kPage - 2] = 'a';
  pages[kPage - 1] = 'b';
  const ProcessMemory memory(::getpid());
  const uint64_t end = address_of(pages + kPage);
  EXPECT_EQ(memory.read(end - 2, 2), "ab");
  EXPECT_EQ(memory.read(end - 2, 3), "");
  EXPECT_EQ(memory.at<char>(end - 1), 'b');
  EXPECT_EQ(memory.at<char>(end), 0);
  EXPECT_EQ(memory.string_at(end - 2, 100), "ab") << "without a NUL, up to what can be read";
  EXPECT_EQ(memory.string_at(end - 2, 1), "a");
  ::munmap(pages, kPage);
}

// As the seccomp filters of some container engines do.
bool forbid(uint32_t system_call) {
  sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, system_call, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program{4, filter};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

TEST(ProcessMemory, IsReadWhereProcessVmReadvIsForbidden) {
  const std::string words = "words in memory";
  const pid_t child = ::fork();
  if (child == 0) {
    if (!forbid(SYS_process_vm_readv)) {
      ::_exit(2);
    }
    const std::string read = ProcessMemory(::getpid()).read(address_of(words.data()), words.size());
    ::_exit(read == words ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

// 0: the tracer reads what the one who has asked to be traced has in memory. Everything else that could is forbidden.
int read_as_tracer(const std::string& words) {
  const pid_t traced = ::fork();
  if (traced == 0) {
    ::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
    ::raise(SIGSTOP);
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(traced, &status, 0);
  int result = 2;
  if (WIFSTOPPED(status) && forbid(SYS_process_vm_readv) && forbid(SYS_openat)) {
    const ProcessMemory memory(traced);
    const uint64_t begin = address_of(words.data());
    result = 0;
    for (size_t from = 0; from < words.size(); ++from) {
      for (size_t length = 1; length <= words.size() - from; ++length) {
        result |= memory.read(begin + from, length) == words.substr(from, length) ? 0 : 1;
      }
    }
    result |= memory.read(8, 8).empty() ? 0 : 1;
  }
  ::kill(traced, SIGKILL);
  ::waitpid(traced, &status, 0);
  return result;
}

TEST(ProcessMemory, IsReadByATracerWhereNothingElseIsAllowed) {
  const std::string words = "words in memory, more than one";
  const pid_t child = ::fork();
  if (child == 0) {
    ::_exit(read_as_tracer(words));
  }
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace crashcrawler
