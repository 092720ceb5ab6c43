// A thread of its own reads the socket for the whole run, so that the probe never waits for us and
// the ring is empty when the next crash comes; it opens the files of a crash the moment the crash
// is complete. What has come is recorded before it is looked at: a message that brings us down is
// then in the recording. Records from elsewhere come in between; recorded and assembled under one lock, they have the
// same place in both.
#include "runner/capture/bpf_source.h"

#include <sys/socket.h>

#include <mutex>
#include <thread>
#include <utility>

#include "runner/capture/messages.h"
#include "runner/capture/probe_protocol.h"
#include "runner/capture/run_assembler.h"

namespace crashcrawler {
namespace {

template <typename Message>
bool send_message(int socket, ProbeMessage type, Message message) {
  message.header = {static_cast<uint16_t>(type), kProtocolVersion, sizeof message};
  return ::send(socket, &message, sizeof message, MSG_NOSIGNAL) == sizeof message;
}

}  // namespace

struct BpfSource::State {
  UniqueFd socket;
  Recording& recording;
  MessageReader reader;
  RunAssembler assembler;
  std::mutex lock;  // of recording and assembler, while the receiver runs
  std::thread receiver;

  State(UniqueFd connected, const Circumstances& circumstances, Recording& kept)
      : socket(std::move(connected)),
        recording(kept),
        reader(socket.get()),
        assembler(circumstances) {}

  ~State() {
    if (receiver.joinable()) {
      ::shutdown(socket.get(), SHUT_RDWR);
      receiver.join();
    }
  }

  void assemble(std::string_view batch) {
    while (!batch.empty() && !assembler.has_ended()) {
      assembler.take(take_message(batch));
    }
  }

  void add(std::string_view batch) {
    const std::lock_guard guard(lock);
    recording.append(batch);
    assemble(batch);
  }

  void receive() {
    while (!assembler.has_ended()) {
      const std::string_view batch = reader.next_batch();
      if (batch.empty()) {
        return;
      }
      add(batch);
    }
  }
};

BpfSource::BpfSource(std::unique_ptr<State> state) : state_(std::move(state)) {}
BpfSource::BpfSource(BpfSource&&) noexcept = default;
BpfSource& BpfSource::operator=(BpfSource&&) noexcept = default;
BpfSource::~BpfSource() = default;

Result<BpfSource> BpfSource::begin(UniqueFd socket, pid_t held, const CaptureOptions& options,
                                   const Circumstances& circumstances, Recording& recording) {
  auto state = std::make_unique<State>(std::move(socket), circumstances, recording);
  const BeginMessage begin{
      {}, held, options.crash_stack_bytes, options.thread_stack_bytes, options.ring_bytes};
  // When this fails the probe is gone, and the empty answer below says so.
  send_message(state->socket.get(), ProbeMessage::begin, begin);
  std::string_view batch = state->reader.next_batch();
  if (batch.empty()) {
    return Error{"the collector ended before it could begin"};
  }
  state->recording.append(batch);
  const std::string_view answer = take_message(batch);
  if (is(ProbeMessage::failed, answer)) {
    return Error{std::string(text_of(answer))};
  }
  if (!is(ProbeMessage::ready, answer)) {
    return Error{
        "crashcrawler-probe is of another version than crashcrawler-run; install both from one "
        "build"};
  }
  state->assembler.take(answer);
  state->assemble(batch);
  state->receiver = std::thread(&State::receive, state.get());
  return BpfSource(std::move(state));
}

const std::string& BpfSource::cgroup() const {
  return state_->assembler.cgroup();
}

void BpfSource::add(std::string_view record) {
  state_->add(record);
}

void BpfSource::kill_tree() {
  send_message(state_->socket.get(), ProbeMessage::kill_tree, PlainMessage{});
}

Captured BpfSource::finish() {
  send_message(state_->socket.get(), ProbeMessage::finish, PlainMessage{});
  state_->receiver.join();
  return state_->assembler.finish();
}

}  // namespace crashcrawler
