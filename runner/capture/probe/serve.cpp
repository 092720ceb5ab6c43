// A privileged program that answers an unprivileged one, so it trusts nothing it is told: a process
// that does not belong to the user behind sudo is refused, sizes are bounded, and all it ever does
// to a process is to move it into a cgroup it made itself and back.
#include "runner/capture/probe/serve.h"

#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <optional>
#include <string>
#include <vector>

#include "runner/capture/outbox.h"
#include "runner/capture/probe/collector.h"
#include "runner/capture/probe/run_cgroup.h"
#include "runner/capture/probe_protocol.h"

namespace crashcrawler {
namespace {

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
  if (cgroup && begin.delegate == 1) {
    struct stat held {};
    if (::stat(("/proc/" + std::to_string(begin.held_pid)).c_str(), &held) == 0) {
      ignore(cgroup->delegate_to(held.st_uid));  // where it did not work the wrapper sees that
    }
  }
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
