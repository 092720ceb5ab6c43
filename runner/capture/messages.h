// Messages of probe_protocol.h as they lie in a stream: the probe's socket, or a recording.
#pragma once

#include <cstddef>
#include <deque>
#include <string_view>
#include <vector>

#include "runner/base/unique_fd.h"
#include "runner/capture/probe_protocol.h"

namespace crashcrawler {

class MessageReader {
 public:
  explicit MessageReader(int fd);  // does not own it

  // Whole messages, as many as have come, at least one; empty when the stream has ended or is
  // broken. Valid until the next call, also when the reader is moved.
  std::string_view next_batch();

  // The first descriptor that came over the socket and was not taken yet; invalid: there is none.
  UniqueFd take_descriptor();

 private:
  bool fill();
  ssize_t receive();

  int fd_;
  std::vector<char> buffer_;
  size_t begin_ = 0, end_ = 0;
  std::deque<UniqueFd> descriptors_;
};

// Takes the first message, header included, off a batch that is not empty.
std::string_view take_message(std::string_view& batch);

uint16_t type_of(std::string_view message);

inline bool is(ProbeMessage type, std::string_view message) {
  return type_of(message) == static_cast<uint16_t>(type);
}

inline std::string_view text_of(std::string_view message) {
  return message.substr(sizeof(MessageHeader));
}

}  // namespace crashcrawler
