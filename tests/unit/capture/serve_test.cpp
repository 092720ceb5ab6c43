#include "runner/capture/probe/serve.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "runner/base/unique_fd.h"
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

}  // namespace
}  // namespace crashcrawler
