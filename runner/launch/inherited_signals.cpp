#include "runner/launch/inherited_signals.h"

#include "runner/launch/supervise.h"

namespace crashcrawler {
namespace {

// Signals that somebody sends to "the program they started", which is us, but mean the command.
constexpr int kForwarded[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGALRM};

// Blocked as well, but never looked at. Job control: we stop when the command has stopped, neither
// sooner nor twice. SIGPIPE: a helper that has gone is an EPIPE to report, not our death.
constexpr int kHeldBack[] = {SIGTSTP, SIGTTIN, SIGTTOU, SIGPIPE};

struct InheritedSignals {
  bool saved = false;
  sigset_t mask;
  struct sigaction child_action;
  sigset_t supervised;
};

// The one piece of process-wide state of this stage: the kernel's is process-wide too.
InheritedSignals& inherited() {
  static InheritedSignals signals = [] {
    InheritedSignals fresh{};
    sigemptyset(&fresh.supervised);
    return fresh;
  }();
  return signals;
}

bool is_ignored(int signal) {
  struct sigaction action {};
  return ::sigaction(signal, nullptr, &action) == 0 && action.sa_handler == SIG_IGN;
}

}  // namespace

void block_supervised_signals() {
  InheritedSignals& signals = inherited();
  if (signals.saved) {
    return;
  }
  sigset_t blocked;
  sigemptyset(&blocked);
  sigaddset(&signals.supervised, SIGCHLD);
  for (const int signal : kForwarded) {
    if (!is_ignored(signal)) {
      sigaddset(&signals.supervised, signal);
    }
  }
  blocked = signals.supervised;
  for (const int signal : kHeldBack) {
    sigaddset(&blocked, signal);
  }
  ::pthread_sigmask(SIG_BLOCK, &blocked, &signals.mask);

  // Somebody who ignores SIGCHLD hands that down to us; the kernel would then reap the command and
  // its exit status would be lost (wait(2), "NOTES").
  struct sigaction by_default {};
  by_default.sa_handler = SIG_DFL;
  ::sigaction(SIGCHLD, &by_default, &signals.child_action);
  signals.saved = true;
}

const sigset_t& supervised_signals() {
  return inherited().supervised;
}

void restore_inherited_signals() {
  const InheritedSignals& signals = inherited();
  if (signals.saved) {
    ::sigaction(SIGCHLD, &signals.child_action, nullptr);
    ::pthread_sigmask(SIG_SETMASK, &signals.mask, nullptr);
  }
}

}  // namespace crashcrawler
