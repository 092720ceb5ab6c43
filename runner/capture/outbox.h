// The collector's end of the socket (probe_protocol.h), the same for crashcrawler-probe and for the tracer.
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "runner/base/result.h"
#include "runner/capture/probe_protocol.h"

namespace crashcrawler {

// Everything goes out through one buffer: records are small and come in bursts.
class Outbox {
 public:
  // Whether flush() waits for a slow reader, or keeps what he does not take.
  enum class Patience { waits, keeps };

  explicit Outbox(int socket, Patience patience = Patience::waits)
      : socket_(socket), patience_(patience) {}

  void add(std::string_view bytes);
  void add_text(ProbeMessage type, const std::string& text);
  void add_pids(std::vector<int32_t> pids);
  // Sends what waits, then a ROOT with `directory`.
  void send_root(uint32_t mount_namespace, int directory);

  template <typename Message>
  void add_message(ProbeMessage type, Message message) {
    message.header = {static_cast<uint16_t>(type), kProtocolVersion, sizeof message};
    add({reinterpret_cast<const char*>(&message), sizeof message});
  }

  // Once the reader is gone, nothing is sent any more.
  void flush();
  // The same, waiting.
  void flush_all();

  size_t bytes_waiting() const { return bytes_.size(); }

 private:
  int socket_;
  Patience patience_;
  std::string bytes_;
  bool broken_ = false;
};

// One whole message. False: the other end is gone or speaks something else, perhaps another version: what is shorter than it
// should be is not waited for.
template <typename Message>
bool receive(int socket, Message& message) {
  if (::recv(socket, &message.header, sizeof message.header, MSG_WAITALL | MSG_PEEK) !=
          static_cast<ssize_t>(sizeof message.header) ||
      message.header.size != sizeof message) {
    return false;
  }
  const ssize_t got = ::recv(socket, &message, sizeof message, MSG_WAITALL);
  return got == static_cast<ssize_t>(sizeof message) &&
         message.header.version == kProtocolVersion && message.header.size == sizeof message;
}

// The bounds that crashcrawler-run keeps by itself; whoever else speaks here has them kept for him.
Result<void> check_sizes(const BeginMessage& begin);

}  // namespace crashcrawler
