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
#include "runner/capture/probe/held_roots.h"
#include "runner/capture/probe/outside_access.h"
#include "runner/capture/probe/relay.h"
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

// What is watched besides the command's own tree.
struct Outside {
  AttachedCgroup cgroup;  // invalid directory: none
  bool containers = false, all_of_it = false;
  std::string refused;  // why containers are not watched although that was asked for
};

Result<Outside> outside_of(BeginMessage& begin) {
  Outside outside;
  begin.attached_cgroup[sizeof begin.attached_cgroup - 1] = '\0';
  const std::string directory = begin.attached_cgroup;
  if (directory.empty() && begin.watch_containers == 0) {
    return outside;
  }
  const Result<Asking> asking = who_asks(begin.held_pid);
  if (!asking) {
    return asking.error();
  }
  outside.all_of_it = may_use_engine(*asking);
  if (!directory.empty()) {
    Result<AttachedCgroup> cgroup = open_for(*asking, directory);
    if (!cgroup) {
      return cgroup.error();
    }
    outside.cgroup = std::move(*cgroup);
  }
  if (begin.watch_containers != 0) {
    outside.containers = outside.all_of_it;
    if (!outside.containers) {
      outside.refused =
          "the container is not watched: user " + std::to_string(asking->uid) +
          " may not write to /run/docker.sock; --attach-cgroup works for processes of "
          "his own, sudo for others";
    }
  }
  return outside;
}

// The namespaces of those who live in the attached cgroup already; others are told of as they come.
void hold_namespaces(const std::string& directory, HeldRoots& roots) {
  struct stat ours {};
  const bool known = ::stat("/proc/self/ns/mnt", &ours) == 0;
  for (const std::string& pid : processes_below(directory)) {
    struct stat theirs {};
    if (::stat(("/proc/" + pid + "/ns/mnt").c_str(), &theirs) == 0 &&
        (!known || theirs.st_ino != ours.st_ino)) {
      roots.hold(std::atoi(pid.c_str()), static_cast<uint32_t>(theirs.st_ino));
    }
  }
}

// What crashcrawler-run has to say meanwhile. None: it is gone, or says something that nobody understands.
struct Request {
  ProbeMessage type = ProbeMessage::finish;
  std::string container;
};

std::optional<Request> receive_request(int socket) {
  MessageHeader header{};
  if (::recv(socket, &header, sizeof header, MSG_WAITALL | MSG_PEEK) != sizeof header) {
    return std::nullopt;
  }
  Request request;
  request.type = static_cast<ProbeMessage>(header.type);
  PlainMessage plain{};
  ContainerMessage container{};
  const bool whole =
      request.type == ProbeMessage::container ? receive(socket, container) : receive(socket, plain);
  request.container.assign(container.id, sizeof container.id);
  return whole ? std::optional(std::move(request)) : std::nullopt;
}

Result<void> watch(int socket, Collector& collector, Result<RunCgroup>& cgroup, Outbox& outbox,
                   Relay& relay) {
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
    const std::optional<Request> request = receive_request(socket);
    if (!request) {
      return {};  // the wrapper was killed: the tree lives on without us
    }
    switch (request->type) {
      case ProbeMessage::container:
        relay.name_container(request->container);
        outbox.flush();
        break;
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
  Result<Outside> outside = outside_of(begin);
  if (!outside) {
    return refuse(outside.error());
  }
  // Without a cgroup the tree is followed all the same: the BPF programs hand a mark on at every fork.
  Result<RunCgroup> cgroup =
      begin.only_attached == 1 ? Result<RunCgroup>(Error{""}) : RunCgroup::create(begin.held_pid);
  if (cgroup && begin.delegate == 1) {
    struct stat held {};
    if (::stat(("/proc/" + std::to_string(begin.held_pid)).c_str(), &held) == 0) {
      ignore(cgroup->delegate_to(held.st_uid));  // where it did not work the wrapper sees that
    }
  }
  const std::string directory = cgroup ? cgroup->directory() : "";
  CollectorOptions options;
  options.cgroup = directory;
  options.held = begin.held_pid;
  options.only_attached = begin.only_attached == 1;
  options.attached_cgroup = outside->cgroup.directory.get();
  options.watch_containers = outside->containers;
  options.outside_is_allowed = outside->all_of_it;
  options.crash_stack_bytes = begin.crash_stack_bytes;
  options.thread_stack_bytes = begin.thread_stack_bytes;
  options.ring_bytes = begin.ring_bytes;
  HeldRoots roots;
  std::optional<Result<Collector>> collector;
  Relay relay(
      {[&](std::string_view record) { outbox.add(record); },
       [&](const std::string& id) { return (*collector)->number_of_container(id); },
       [&](uint32_t number) { (*collector)->choose_container(number); },
       [&](pid_t pid, uint32_t mount_namespace) {
         if (outside->all_of_it) {
           roots.hold(pid, mount_namespace);
         }
       },
       [&](uint32_t mount_namespace) { return roots.open_root(mount_namespace); },
       [&](uint32_t mount_namespace, int root) { outbox.send_root(mount_namespace, root); }},
      begin.ring_bytes);
  collector = Collector::start(options, [&](std::string_view record) { relay.take(record); });
  if (!*collector) {
    if (cgroup) {
      ignore(cgroup->remove());
    }
    return refuse(collector->error());
  }
  if (outside->cgroup.directory && outside->all_of_it) {
    hold_namespaces(begin.attached_cgroup, roots);
  }
  std::string degraded = (*collector)->degraded();
  if (!cgroup && begin.only_attached == 0) {
    degraded += (degraded.empty() ? "" : "; ") +
                ("the processes of the command are followed from fork to fork, because " +
                 cgroup.error().message);
  }
  outbox.add_text(ProbeMessage::ready,
                  directory + "\n" + std::to_string(::getpid()) + "\n" + degraded);
  if (!outside->refused.empty()) {
    outbox.add_text(ProbeMessage::unwatched, outside->refused);
  }
  outbox.flush();

  const Result<void> watched = watch(socket, **collector, cgroup, outbox, relay);

  // The tree has ended, or goes on unwatched: what is in the ring now is all that will be told.
  (*collector)->drain();
  if (const std::string missing = outside->containers ? relay.what_is_missing() : "";
      !missing.empty()) {
    outbox.add_text(ProbeMessage::unwatched, missing);
  }
  EndMessage end{};
  end.counters = (*collector)->counters();
  end.counters.lost_records += relay.lost();
  end.missed_runs = (*collector)->missed_runs();
  outbox.add_message(ProbeMessage::end, end);
  outbox.flush();
  collector.reset();  // detached before the cgroup goes, so that nobody is watched in the parent's
  const Result<void> removed = cgroup ? cgroup->remove() : Result<void>();
  return watched ? removed : watched;
}

}  // namespace crashcrawler
