#include "runner/capture/messages.h"

#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace crashcrawler {
namespace {

constexpr size_t kBufferBytes = 2 << 20;
static_assert(kBufferBytes > 2 * kMaxMessageBytes);

MessageHeader header_of(std::string_view bytes) {
  MessageHeader header{};
  std::memcpy(&header, bytes.data(), sizeof header);
  return header;
}

bool is_broken(const MessageHeader& header) {
  return header.size < sizeof header || header.size > kMaxMessageBytes;
}

// Bytes of the whole messages at the beginning of `bytes`.
size_t whole_messages(std::string_view bytes) {
  size_t whole = 0;
  while (bytes.size() - whole >= sizeof(MessageHeader)) {
    const MessageHeader header = header_of(bytes.substr(whole));
    if (is_broken(header) || bytes.size() - whole < header.size) {
      break;
    }
    whole += header.size;
  }
  return whole;
}

}  // namespace

MessageReader::MessageReader(int fd) : fd_(fd), buffer_(kBufferBytes) {}

std::string_view MessageReader::next_batch() {
  for (;;) {
    const std::string_view have(buffer_.data() + begin_, end_ - begin_);
    if (const size_t whole = whole_messages(have); whole > 0) {
      begin_ += whole;
      return have.substr(0, whole);
    }
    if ((have.size() >= sizeof(MessageHeader) && is_broken(header_of(have))) || !fill()) {
      return {};
    }
  }
}

UniqueFd MessageReader::take_descriptor() {
  UniqueFd descriptor;
  if (!descriptors_.empty()) {
    descriptor = std::move(descriptors_.front());
    descriptors_.pop_front();
  }
  return descriptor;
}

// With one message at most one descriptor comes: what is sent with another ends what one call returns (unix(7)).
ssize_t MessageReader::receive() {
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
  iovec part{buffer_.data() + end_, buffer_.size() - end_};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  const ssize_t got = ::recvmsg(fd_, &message, MSG_CMSG_CLOEXEC);
  if (got < 0 && errno == ENOTSOCK) {
    return ::read(fd_, part.iov_base, part.iov_len);
  }
  const cmsghdr* const first = got > 0 ? CMSG_FIRSTHDR(&message) : nullptr;
  if (first && first->cmsg_level == SOL_SOCKET && first->cmsg_type == SCM_RIGHTS) {
    int descriptor = -1;
    std::memcpy(&descriptor, CMSG_DATA(first), sizeof descriptor);
    descriptors_.emplace_back(descriptor);
  }
  return got;
}

bool MessageReader::fill() {
  std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
  end_ -= begin_;
  begin_ = 0;
  ssize_t got = 0;
  do {
    got = receive();
  } while (got < 0 && errno == EINTR);
  end_ += got > 0 ? static_cast<size_t>(got) : 0;
  return got > 0;
}

std::string_view take_message(std::string_view& batch) {
  const std::string_view message = batch.substr(0, header_of(batch).size);
  batch.remove_prefix(message.size());
  return message;
}

uint16_t type_of(std::string_view message) {
  return header_of(message).type;
}

}  // namespace crashcrawler
