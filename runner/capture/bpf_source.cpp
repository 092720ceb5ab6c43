// A thread of its own reads the socket for the whole run, so that the probe never waits for us and
// the ring is empty when the next crash comes; it opens the files of a crash the moment the crash
// is complete. What has come is recorded before it is looked at: a message that brings us down is
// then in the recording. Records from elsewhere come in between; recorded and assembled under one lock, they have the
// same place in both.
#include "runner/capture/bpf_source.h"

#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <optional>
#include <sstream>
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

std::vector<pid_t> pids_of(std::string_view message) {
  message.remove_prefix(sizeof(MessageHeader));
  std::vector<pid_t> pids(message.size() / sizeof(int32_t));
  if (!pids.empty()) {  // memcpy(3) is not to be given the null pointer of an empty vector
    std::memcpy(pids.data(), message.data(), pids.size() * sizeof(int32_t));
  }
  return pids;
}

}  // namespace

struct BpfSource::State {
  UniqueFd socket;
  Recording& recording;
  MessageReader reader;
  RunAssembler assembler;
  std::mutex lock;  // of all that is here, while the receiver runs
  std::condition_variable changed;
  std::optional<std::vector<pid_t>> tree;  // the newest TREE
  std::optional<std::string> looked;       // the newest LOOKED
  bool receiving = true;
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
      const std::string_view message = take_message(batch);
      if (is(ProbeMessage::tree, message)) {
        tree = pids_of(message);
        changed.notify_all();
      } else if (is(ProbeMessage::looked, message)) {
        looked = text_of(message);
        changed.notify_all();
      } else if (is(ProbeMessage::check, message)) {
        send_message(socket.get(), ProbeMessage::taken, PlainMessage{});
      } else if (is(ProbeMessage::root, message)) {
        assembler.take_root(message, reader.take_descriptor());
      } else {
        assembler.take(message);
      }
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
        break;
      }
      add(batch);
    }
    const std::lock_guard guard(lock);
    receiving = false;
    changed.notify_all();
  }
};

BpfSource::BpfSource(std::unique_ptr<State> state) : state_(std::move(state)) {}
BpfSource::BpfSource(BpfSource&&) noexcept = default;
BpfSource& BpfSource::operator=(BpfSource&&) noexcept = default;
BpfSource::~BpfSource() = default;

Result<BpfSource> BpfSource::begin(UniqueFd socket, pid_t held, const CaptureOptions& options,
                                   const Circumstances& circumstances, Recording& recording) {
  auto state = std::make_unique<State>(std::move(socket), circumstances, recording);
  state->assembler.keep_whole(options.alike);
  BeginMessage begin{{},
                     held,
                     options.crash_stack_bytes,
                     options.thread_stack_bytes,
                     options.ring_bytes,
                     options.delegate ? 1u : 0u,
                     options.only_attached ? 1u : 0u,
                     options.watch_containers ? 1u : 0u,
                     ""};
  if (options.attached_cgroup.size() >= sizeof begin.attached_cgroup) {
    return Error{"the path of the cgroup is too long"};
  }
  options.attached_cgroup.copy(begin.attached_cgroup, sizeof begin.attached_cgroup);
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

std::vector<pid_t> BpfSource::list_tree() {
  constexpr std::chrono::seconds kPatience{5};
  std::unique_lock guard(state_->lock);
  state_->tree.reset();
  if (!state_->receiving ||
      !send_message(state_->socket.get(), ProbeMessage::list_tree, PlainMessage{})) {
    return {};
  }
  state_->changed.wait_for(guard, kPatience,
                           [this] { return state_->tree.has_value() || !state_->receiving; });
  return state_->tree.value_or(std::vector<pid_t>());
}

std::vector<std::string> BpfSource::look_at_tree() {
  constexpr std::chrono::seconds kPatience{20};
  std::unique_lock guard(state_->lock);
  state_->looked.reset();
  if (state_->receiving && send_message(state_->socket.get(), ProbeMessage::look, PlainMessage{})) {
    state_->changed.wait_for(guard, kPatience,
                             [this] { return state_->looked || !state_->receiving; });
  }
  if (!state_->looked) {
    return {"the collector did not look at the processes when the time was over"};
  }
  std::vector<std::string> missing;
  std::istringstream lines(*state_->looked);
  for (std::string line; std::getline(lines, line);) {
    missing.push_back(line);
  }
  return missing;
}

void BpfSource::name_container(const std::string& id) {
  ContainerMessage message{};
  id.copy(message.id, sizeof message.id);
  send_message(state_->socket.get(), ProbeMessage::container, message);
}

void BpfSource::kill_tree() {
  send_message(state_->socket.get(), ProbeMessage::kill_tree, PlainMessage{});
}

void BpfSource::look(
    const std::function<void(std::vector<RawCrash>, const PinnedFiles&, pid_t probe)>& at) {
  // The probe empties the ring before it answers: what died before is here when the answer is.
  list_tree();
  const std::lock_guard guard(state_->lock);
  if (std::vector<RawCrash> fresh = state_->assembler.fresh_crashes(); !fresh.empty()) {
    at(std::move(fresh), state_->assembler.files(), state_->assembler.probe_pid());
  }
}

Captured BpfSource::finish() {
  send_message(state_->socket.get(), ProbeMessage::finish, PlainMessage{});
  state_->receiver.join();
  Captured captured = state_->assembler.finish();
  if (!captured.health.complete && !cgroup().empty() && ::rmdir(cgroup().c_str()) != 0 &&
      errno != ENOENT) {
    captured.health.degraded.push_back("the collector could not take away the cgroup " + cgroup() +
                                       ", and neither can we: " + std::strerror(errno));
  }
  return captured;
}

}  // namespace crashcrawler
