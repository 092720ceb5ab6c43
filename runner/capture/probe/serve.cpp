// A privileged program that answers an unprivileged one, so it trusts nothing it is told: a process
// that does not belong to the user behind sudo is refused, sizes are bounded, and all it ever does
// to a process is to move it into a cgroup it made itself and back.
#include "runner/capture/probe/serve.h"

#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstdlib>
#include <optional>
#include <string>
#include <vector>

#include "runner/capture/probe/collector.h"
#include "runner/capture/probe/run_cgroup.h"
#include "runner/capture/probe_protocol.h"

namespace crashcrawler {
namespace {

// Everything goes out through one buffer: records are small and come in bursts.
class Outbox {
 public:
  explicit Outbox(int socket) : socket_(socket) {}

  void add(std::string_view bytes) {
    constexpr size_t kFlushAt = 1 << 20;
    bytes_ += bytes;
    if (bytes_.size() >= kFlushAt) {
      flush();
    }
  }

  template <typename Message>
  void add_message(ProbeMessage type, Message message) {
    message.header = {static_cast<uint16_t>(type), kProtocolVersion, sizeof message};
    add({reinterpret_cast<const char*>(&message), sizeof message});
  }

  void add_text(ProbeMessage type, const std::string& text) {
    const std::string_view kept = std::string_view(text).substr(0, kMaxTextBytes);
    const MessageHeader header{static_cast<uint16_t>(type), kProtocolVersion,
                               static_cast<uint32_t>(sizeof(MessageHeader) + kept.size())};
    add({reinterpret_cast<const char*>(&header), sizeof header});
    add(kept);
  }

  void add_pids(std::vector<int32_t> pids) {
    pids.resize(std::min<size_t>(pids.size(), kMostListed));
    const MessageHeader header{
        static_cast<uint16_t>(ProbeMessage::tree), kProtocolVersion,
        static_cast<uint32_t>(sizeof(MessageHeader) + pids.size() * sizeof(int32_t))};
    add({reinterpret_cast<const char*>(&header), sizeof header});
    add({reinterpret_cast<const char*>(pids.data()), pids.size() * sizeof(int32_t)});
  }

  // Blocks while the reader is slow: the ring is the buffer for that time, and counts what it
  // cannot take.
  void flush() {
    std::string_view rest = bytes_;
    while (!rest.empty() && !broken_) {
      const ssize_t sent = ::send(socket_, rest.data(), rest.size(), MSG_NOSIGNAL);
      if (sent < 0 && errno != EINTR) {
        broken_ = true;  // the reader is gone; its end of the socket tells serve() the same
      }
      rest.remove_prefix(sent > 0 ? static_cast<size_t>(sent) : 0);
    }
    bytes_.clear();
  }

 private:
  int socket_;
  std::string bytes_;
  bool broken_ = false;
};

// One whole message of at most `size` bytes. False: the other end is gone or speaks something else.
template <typename Message>
bool receive(int socket, Message& message) {
  const ssize_t got = ::recv(socket, &message, sizeof message, MSG_WAITALL);
  return got == static_cast<ssize_t>(sizeof message) &&
         message.header.version == kProtocolVersion && message.header.size == sizeof message;
}

// sudo(8) says in SUDO_UID who asked. Only his own processes may be watched.
Result<void> check_owner(pid_t pid) {
  const char* asking = std::getenv("SUDO_UID");
  struct stat process {};
  if (::stat(("/proc/" + std::to_string(pid)).c_str(), &process) != 0) {
    return errno_error("there is no process " + std::to_string(pid));
  }
  if (asking && std::to_string(process.st_uid) != asking) {
    return Error{"process " + std::to_string(pid) + " does not belong to the user who asks (uid " +
                 asking + ")"};
  }
  return {};
}

// The bounds that crashcrawler-run keeps by itself; whoever else speaks here has them kept for him.
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

Result<void> watch(int socket, Collector& collector, Result<RunCgroup>& cgroup, Outbox& outbox) {
  for (;;) {
    pollfd events[2] = {{socket, POLLIN, 0}, {collector.poll_fd(), POLLIN, 0}};
    if (::poll(events, 2, -1) < 0 && errno != EINTR) {
      return errno_error("poll");
    }
    if (events[1].revents != 0) {
      collector.drain();
      outbox.flush();
    }
    if (events[0].revents == 0) {
      continue;
    }
    PlainMessage message{};
    if (!receive(socket, message)) {
      return {};  // the wrapper was killed: the tree lives on without us
    }
    switch (static_cast<ProbeMessage>(message.header.type)) {
      case ProbeMessage::kill_tree:
        if (cgroup) {
          ignore(cgroup->kill_all());  // seen by the wrapper: the tree does not become empty
        }
        break;
      case ProbeMessage::list_tree:
        outbox.add_pids(collector.members());
        outbox.flush();
        break;
      default:
        return {};
    }
  }
}

}  // namespace

Result<void> serve(int socket) {
  Outbox outbox(socket);
  const auto refuse = [&](const Error& error) -> Result<void> {
    outbox.add_text(ProbeMessage::failed, error.message);
    outbox.flush();
    return {};
  };

  BeginMessage begin{};
  if (!receive(socket, begin) || begin.header.type != static_cast<uint16_t>(ProbeMessage::begin)) {
    return Error{
        "this program is started by crashcrawler-run, which speaks to it through its standard "
        "input; there is "
        "nothing to run it for by hand"};
  }
  if (const Result<void> owned = check_owner(begin.held_pid); !owned) {
    return refuse(owned.error());
  }
  if (const Result<void> sized = check_sizes(begin); !sized) {
    return refuse(sized.error());
  }
  // Without a cgroup the tree is followed all the same: the BPF programs hand a mark on at every fork.
  Result<RunCgroup> cgroup = RunCgroup::create(begin.held_pid);
  const std::string directory = cgroup ? cgroup->directory() : "";
  std::optional<Result<Collector>> collector =
      Collector::start({directory, begin.held_pid, begin.crash_stack_bytes,
                        begin.thread_stack_bytes, begin.ring_bytes},
                       [&](std::string_view record) { outbox.add(record); });
  if (!*collector) {
    if (cgroup) {
      ignore(cgroup->remove());
    }
    return refuse(collector->error());
  }
  std::string degraded = (*collector)->degraded();
  if (!cgroup) {
    degraded += (degraded.empty() ? "" : "; ") +
                ("the processes of the command are followed from fork to fork, because " +
                 cgroup.error().message);
  }
  outbox.add_text(ProbeMessage::ready,
                  directory + "\n" + std::to_string(::getpid()) + "\n" + degraded);
  outbox.flush();

  const Result<void> watched = watch(socket, **collector, cgroup, outbox);

  // The tree has ended, or goes on unwatched: what is in the ring now is all that will be told.
  (*collector)->drain();
  EndMessage end{};
  end.counters = (*collector)->counters();
  end.missed_runs = (*collector)->missed_runs();
  outbox.add_message(ProbeMessage::end, end);
  outbox.flush();
  collector.reset();  // detached before the cgroup goes, so that nobody is watched in the parent's
  const Result<void> removed = cgroup ? cgroup->remove() : Result<void>();
  return watched ? removed : watched;
}

}  // namespace crashcrawler
