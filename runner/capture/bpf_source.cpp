// A thread of its own reads the socket for the whole run, so that the probe never waits for us and
// the ring is empty when the next crash comes; it opens the files of a crash the moment the crash
// is complete.
#include "runner/capture/bpf_source.h"

#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <sstream>
#include <thread>

#include "runner/capture/crash_assembler.h"
#include "runner/capture/pin_files.h"
#include "runner/capture/probe_protocol.h"

namespace crashcrawler {
namespace {

// Splits the stream into messages. The bytes of a message are valid until the next call.
class MessageReader {
 public:
  explicit MessageReader(int socket) : socket_(socket), buffer_(kBufferBytes, '\0') {}

  // The next message with its header; empty when the stream has ended or is broken.
  std::string_view next() {
    for (;;) {
      MessageHeader header{};
      if (end_ - begin_ >= sizeof header) {
        std::memcpy(&header, buffer_.data() + begin_, sizeof header);
        if (header.size < sizeof header || header.size > kMaxMessageBytes) {
          return {};
        }
        if (end_ - begin_ >= header.size) {
          const std::string_view message(buffer_.data() + begin_, header.size);
          begin_ += header.size;
          return message;
        }
      }
      if (!fill()) {
        return {};
      }
    }
  }

 private:
  static constexpr size_t kBufferBytes = 2 << 20;
  static_assert(kBufferBytes > 2 * kMaxMessageBytes);

  bool fill() {
    std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
    ssize_t got = 0;
    do {
      got = ::recv(socket_, buffer_.data() + end_, buffer_.size() - end_, 0);
    } while (got < 0 && errno == EINTR);
    end_ += got > 0 ? static_cast<size_t>(got) : 0;
    return got > 0;
  }

  int socket_;
  std::string buffer_;
  size_t begin_ = 0, end_ = 0;
};

ProbeMessage type_of(std::string_view message) {
  uint16_t type = 0;
  std::memcpy(&type, message.data(), sizeof type);
  return static_cast<ProbeMessage>(type);
}

// The difference that the two clocks have now.
std::chrono::nanoseconds boot_to_wall() {
  timespec boot{};
  ::clock_gettime(CLOCK_BOOTTIME, &boot);
  return std::chrono::system_clock::now().time_since_epoch() -
         (std::chrono::seconds(boot.tv_sec) + std::chrono::nanoseconds(boot.tv_nsec));
}

template <typename Message>
bool send_message(int socket, ProbeMessage type, Message message) {
  message.header = {static_cast<uint16_t>(type), kProtocolVersion, sizeof message};
  return ::send(socket, &message, sizeof message, MSG_NOSIGNAL) == sizeof message;
}

}  // namespace

struct BpfSource::State {
  UniqueFd socket;
  std::string cgroup, degraded;
  pid_t probe_pid = 0;
  MessageReader reader;
  PinnedFiles files;
  CrashAssembler assembler;
  EndMessage totals{};
  bool ended = false;  // END has come
  std::thread receiver;

  explicit State(UniqueFd connected)
      : socket(std::move(connected)),
        reader(socket.get()),
        assembler([this](RawCrash& crash) { pin_files(crash, files); }, boot_to_wall()) {}

  ~State() {
    if (receiver.joinable()) {
      ::shutdown(socket.get(), SHUT_RDWR);
      receiver.join();
    }
  }

  void receive() {
    for (std::string_view message = reader.next(); !message.empty(); message = reader.next()) {
      if (type_of(message) == ProbeMessage::end && message.size() == sizeof totals) {
        std::memcpy(&totals, message.data(), sizeof totals);
        ended = true;
        return;
      }
      assembler.feed(message);
    }
  }
};

BpfSource::BpfSource(std::unique_ptr<State> state) : state_(std::move(state)) {}
BpfSource::BpfSource(BpfSource&&) noexcept = default;
BpfSource& BpfSource::operator=(BpfSource&&) noexcept = default;
BpfSource::~BpfSource() = default;

Result<BpfSource> BpfSource::begin(UniqueFd socket, pid_t held, const CaptureOptions& options) {
  auto state = std::make_unique<State>(std::move(socket));
  const BeginMessage begin{
      {}, held, options.crash_stack_bytes, options.thread_stack_bytes, options.ring_bytes};
  // When this fails the probe is gone, and the empty answer below says so.
  send_message(state->socket.get(), ProbeMessage::begin, begin);
  const std::string_view answer = state->reader.next();
  if (answer.empty()) {
    return Error{"the collector ended before it could begin"};
  }
  const std::string text(answer.substr(sizeof(MessageHeader)));
  if (type_of(answer) == ProbeMessage::failed) {
    return Error{text};
  }
  if (type_of(answer) != ProbeMessage::ready) {
    return Error{
        "crashcrawler-probe is of another version than crashcrawler-run; install both from one "
        "build"};
  }
  std::istringstream lines(text);
  std::getline(lines, state->cgroup);
  std::string pid;
  std::getline(lines, pid);
  state->probe_pid = static_cast<pid_t>(std::atoi(pid.c_str()));
  std::getline(lines, state->degraded);
  state->receiver = std::thread(&State::receive, state.get());
  return BpfSource(std::move(state));
}

const std::string& BpfSource::cgroup() const {
  return state_->cgroup;
}

pid_t BpfSource::probe_pid() const {
  return state_->probe_pid;
}

void BpfSource::kill_tree() {
  send_message(state_->socket.get(), ProbeMessage::kill_tree, PlainMessage{});
}

Captured BpfSource::finish() {
  send_message(state_->socket.get(), ProbeMessage::finish, PlainMessage{});
  state_->receiver.join();

  Captured captured;
  captured.crashes = state_->assembler.take();
  captured.files = std::move(state_->files);
  Health& health = captured.health;
  health.complete = state_->ended;
  health.lost_crashes = state_->totals.counters.lost_crashes;
  health.lost_records = state_->totals.counters.lost_records;
  if (!state_->degraded.empty()) {
    health.degraded.push_back(state_->degraded);
  }
  if (!state_->ended) {
    health.degraded.push_back("the collector ended before the run did: later crashes are missing");
  }
  if (state_->totals.missed_runs > 0) {
    health.degraded.push_back("the kernel skipped " + std::to_string(state_->totals.missed_runs) +
                              " calls of the collector's programs");
  }
  if (state_->assembler.malformed_records() > 0) {
    health.degraded.push_back(std::to_string(state_->assembler.malformed_records()) +
                              " records could not be read");
  }
  return captured;
}

}  // namespace crashcrawler
