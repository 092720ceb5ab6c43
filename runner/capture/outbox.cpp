#include "runner/capture/outbox.h"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>

namespace crashcrawler {

void Outbox::add(std::string_view bytes) {
  constexpr size_t kFlushAt = 1 << 20;
  bytes_ += bytes;
  if (bytes_.size() >= kFlushAt) {
    flush();
  }
}

void Outbox::add_text(ProbeMessage type, const std::string& text) {
  const std::string_view kept = std::string_view(text).substr(0, kMaxTextBytes);
  const MessageHeader header{static_cast<uint16_t>(type), kProtocolVersion,
                             static_cast<uint32_t>(sizeof(MessageHeader) + kept.size())};
  add({reinterpret_cast<const char*>(&header), sizeof header});
  add(kept);
}

void Outbox::add_pids(std::vector<int32_t> pids) {
  pids.resize(std::min<size_t>(pids.size(), kMostListed));
  const MessageHeader header{
      static_cast<uint16_t>(ProbeMessage::tree), kProtocolVersion,
      static_cast<uint32_t>(sizeof(MessageHeader) + pids.size() * sizeof(int32_t))};
  add({reinterpret_cast<const char*>(&header), sizeof header});
  add({reinterpret_cast<const char*>(pids.data()), pids.size() * sizeof(int32_t)});
}

void Outbox::send_root(uint32_t mount_namespace, int directory) {
  flush_all();
  RootMessage root{{static_cast<uint16_t>(ProbeMessage::root), kProtocolVersion, sizeof root},
                   mount_namespace};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof directory)] = {};
  iovec part{&root, sizeof root};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  cmsghdr* const rights = CMSG_FIRSTHDR(&message);
  rights->cmsg_level = SOL_SOCKET;
  rights->cmsg_type = SCM_RIGHTS;
  rights->cmsg_len = CMSG_LEN(sizeof directory);
  std::memcpy(CMSG_DATA(rights), &directory, sizeof directory);
  ssize_t sent = 0;
  while (!broken_ && (sent = ::sendmsg(socket_, &message, MSG_NOSIGNAL)) < 0 && errno == EINTR) {
  }
  broken_ = broken_ || sent != static_cast<ssize_t>(sizeof root);
}

void Outbox::flush() {
  std::string_view rest = bytes_;
  const int flags = MSG_NOSIGNAL | (patience_ == Patience::keeps ? MSG_DONTWAIT : 0);
  while (!rest.empty() && !broken_) {
    const ssize_t sent = ::send(socket_, rest.data(), rest.size(), flags);
    if (sent < 0 && errno == EAGAIN) {
      break;
    }
    if (sent < 0 && errno != EINTR) {
      broken_ = true;  // the reader is gone; its end of the socket tells who serves it the same
    }
    rest.remove_prefix(sent > 0 ? static_cast<size_t>(sent) : 0);
  }
  bytes_.erase(0, broken_ ? bytes_.size() : bytes_.size() - rest.size());
}

void Outbox::flush_all() {
  patience_ = Patience::waits;
  flush();
}

Result<void> check_sizes(const BeginMessage& begin) {
  const bool fits = begin.crash_stack_bytes <= kMostStackBytes &&
                    begin.thread_stack_bytes <= kMostStackBytes &&
                    std::has_single_bit(begin.ring_bytes) && begin.ring_bytes >= CC_PAGE_SIZE &&
                    begin.ring_bytes <= kMostRingBytes;
  if (!fits) {
    return Error{"a stack or ring size is out of range"};
  }
  return {};
}

}  // namespace crashcrawler
