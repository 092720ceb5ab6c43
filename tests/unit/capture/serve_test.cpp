#include "runner/capture/probe/serve.h"

#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <string>
#include <vector>

#include "runner/base/file.h"
#include "runner/base/unique_fd.h"
#include "runner/capture/probe/run_cgroup.h"
#include "runner/capture/probe_protocol.h"

namespace crashcrawler {
namespace {

// What the probe answers to a BEGIN for this very process; it must refuse before it has touched anything.
std::string refusal_of(uint32_t crash_stack, uint32_t thread_stack, uint32_t ring) {
  ::unsetenv("SUDO_UID");
  int ends[2];
  EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  const UniqueFd ours(ends[0]), probes(ends[1]);
  BeginMessage begin{{}, ::getpid(), crash_stack, thread_stack, ring};
  begin.header = {static_cast<uint16_t>(ProbeMessage::begin), kProtocolVersion, sizeof begin};
  EXPECT_EQ(::send(ours.get(), &begin, sizeof begin, 0), static_cast<ssize_t>(sizeof begin));
  ::shutdown(ours.get(), SHUT_WR);
  EXPECT_TRUE(serve(probes.get()));
  std::string answer(4096, '\0');
  const ssize_t got = ::recv(ours.get(), answer.data(), answer.size(), 0);
  answer.resize(got > 0 ? static_cast<size_t>(got) : 0);
  return answer.size() > sizeof(MessageHeader) ? answer.substr(sizeof(MessageHeader)) : "";
}

TEST(Serve, SizesOutOfRangeAreRefused) {
  const std::string refused = "a stack or ring size is out of range";
  EXPECT_EQ(refusal_of(kMostStackBytes + 1, 0, 1 << 20), refused);
  EXPECT_EQ(refusal_of(0, 0xffffffff, 1 << 20), refused);
  EXPECT_EQ(refusal_of(0, 0, 0), refused);
  EXPECT_EQ(refusal_of(0, 0, 3 << 20), refused);
  EXPECT_EQ(refusal_of(0, 0, uint32_t{1} << 31), refused);
}

// The user behind sudo may have his own process watched, but not with it a cgroup that others are in.
TEST(Serve, ACgroupOfOthersIsRefusedToTheUserBehindSudo) {
  constexpr uid_t kUser = 54321;
  const Result<std::string> mountinfo = read_file("/proc/self/mountinfo");
  const std::vector<Mount> mounts = mountinfo ? cgroup2_mounts(*mountinfo) : std::vector<Mount>();
  if (::getuid() != 0 || mounts.empty()) {
    GTEST_SKIP() << "needs root and a cgroup2";
  }
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  const pid_t held = ::fork();
  if (held == 0) {
    const bool changed = ::setresuid(kUser, kUser, kUser) == 0;
    ::prctl(PR_SET_DUMPABLE, 1);  // as a held command does; else its folder belongs to root
    if (changed && ::write(ready[1], "y", 1) == 1) {
      ::pause();
    }
    ::_exit(0);
  }
  char done = 0;
  EXPECT_EQ(::read(ready[0], &done, 1), 1);
  int ends[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  const UniqueFd ours(ends[0]), probes(ends[1]);
  BeginMessage begin{{}, held, 4096, 4096, 1 << 20};
  begin.header = {static_cast<uint16_t>(ProbeMessage::begin), kProtocolVersion, sizeof begin};
  mounts.front().mount_point.copy(begin.attached_cgroup, sizeof begin.attached_cgroup - 1);
  EXPECT_EQ(::send(ours.get(), &begin, sizeof begin, 0), static_cast<ssize_t>(sizeof begin));
  ::shutdown(ours.get(), SHUT_WR);
  ::setenv("SUDO_UID", std::to_string(kUser).c_str(), 1);
  EXPECT_TRUE(serve(probes.get()));
  ::unsetenv("SUDO_UID");
  ::kill(held, SIGKILL);
  ::waitpid(held, nullptr, 0);
  std::string answer(4096, '\0');
  const ssize_t got = ::recv(ours.get(), answer.data(), answer.size(), 0);
  answer.resize(got > 0 ? static_cast<size_t>(got) : 0);
  EXPECT_NE(answer.find("does not belong to the user who asks (uid 54321)"), std::string::npos)
      << answer;
}

}  // namespace
}  // namespace crashcrawler
