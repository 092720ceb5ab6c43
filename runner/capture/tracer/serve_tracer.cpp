// Whoever ends while it traces lets its tracees go on as if they had never been traced (exit_ptrace(), kernel/ptrace.c);
// a signal that was on its way arrives. So there is nothing to take down.
#include "runner/capture/tracer/serve_tracer.h"

#include <linux/capability.h>
#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <optional>

#include "runner/base/unique_fd.h"
#include "runner/capture/outbox.h"
#include "runner/capture/proc_files.h"
#include "runner/capture/tracer/tracer.h"

namespace crashcrawler {
namespace {

// Whether a run inside of this one could. What loading needs: capabilities(7), CAP_BPF. It gets them from no sudo(8) and no file
// unless its tracer has CAP_SYS_PTRACE: execve(2).
bool may_load_bpf() {
  return has_capability(CAP_BPF) || has_capability(CAP_SYS_ADMIN) ||
         (::geteuid() != 0 && has_capability(CAP_SYS_PTRACE));
}

class Service {
 public:
  Service(int socket, const BeginMessage& begin, const std::string& why)
      : socket_(socket),
        outbox_(socket, Outbox::Patience::keeps),
        tracer_({begin.crash_stack_bytes, begin.thread_stack_bytes},
                {[this](std::string_view record) { outbox_.add(record); },
                 [this](const std::string& text) { outbox_.add_text(ProbeMessage::note, text); },
                 [this] { outbox_.add_message(ProbeMessage::check, PlainMessage{}); },
                 [this, most = begin.ring_bytes] { return outbox_.bytes_waiting() < most; }},
                why.empty() && may_load_bpf()),
        why_(why) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    news_.reset(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  }

  void run(pid_t held) {
    if (const Result<void> followed = tracer_.follow(held); !followed) {
      refuse(followed.error());
      return;
    }
    outbox_.add_text(ProbeMessage::ready, "\n" + std::to_string(::getpid()) + "\n" + why_);
    while (serve()) {
    }
    tracer_.finish();
    EndMessage end{};
    end.counters = tracer_.counters();
    outbox_.add_message(ProbeMessage::end, end);
    outbox_.flush_all();
  }

  void refuse(const Error& error) {
    outbox_.add_text(ProbeMessage::failed, error.message);
    outbox_.flush_all();
  }

 private:
  // One round. False: the run is over.
  bool serve() {
    tracer_.take_events();
    outbox_.flush();
    if (!wait(tracer_.deadline(), socket_)) {
      return true;
    }
    PlainMessage message{};
    if (!receive(socket_, message)) {
      return false;  // the wrapper was killed: the tree lives on without us
    }
    switch (static_cast<ProbeMessage>(message.header.type)) {
      case ProbeMessage::list_tree:
        outbox_.add_pids(tracer_.living());
        return true;
      case ProbeMessage::look:
        look();
        return true;
      case ProbeMessage::taken:
        tracer_.taken();
        return true;
      default:
        return false;
    }
  }

  void look() {
    std::string text;
    for (const std::string& missing :
         tracer_.look([this](Tracer::Clock::time_point until) { wait(until, -1); })) {
      text += missing + "\n";
    }
    outbox_.add_text(ProbeMessage::looked, text);
  }

  // Until SIGCHLD comes, or something on `socket`: then true.
  bool wait(std::optional<Tracer::Clock::time_point> until, int socket) {
    int timeout = -1;
    if (until) {
      const auto left = *until - Tracer::Clock::now();
      timeout =
          std::max(0, static_cast<int>(std::chrono::ceil<std::chrono::milliseconds>(left).count()));
    }
    const auto also_writable = static_cast<short>(outbox_.bytes_waiting() > 0 ? POLLOUT : 0);
    pollfd events[2] = {{news_.get(), POLLIN, 0},
                        {socket, static_cast<short>(POLLIN | also_writable), 0}};
    ::poll(events, 2, timeout);
    signalfd_siginfo info{};
    if (events[0].revents != 0 && ::read(news_.get(), &info, sizeof info) < 0) {
      return false;
    }
    return (events[1].revents & ~POLLOUT) != 0;
  }

  int socket_;
  Outbox outbox_;
  Tracer tracer_;
  UniqueFd news_;
  std::string why_;  // not BPF
};

}  // namespace

void serve_tracer(int socket, const std::string& why) {
  BeginMessage begin{};
  if (!receive(socket, begin) || begin.header.type != static_cast<uint16_t>(ProbeMessage::begin)) {
    return;
  }
  Service service(socket, begin, why);
  if (const Result<void> sized = check_sizes(begin); !sized) {
    service.refuse(sized.error());
    return;
  }
  service.run(begin.held_pid);
}

}  // namespace crashcrawler
