// A process whose threads stand still under ptrace(2), so that it can be looked at alive.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "runner/base/result.h"

namespace crashcrawler {

class StoppedProcess {
 public:
  using Clock = std::chrono::steady_clock;

  // Calls `look` with every thread of `pid` stopped that can be by `deadline`, then lets them go on. A process that has
  // ended is one without threads. All the process can notice of it is an EINTR. Error: it must not be looked at by us,
  // and why.
  static Result<void> visit(pid_t pid, Clock::time_point deadline,
                            const std::function<void(const StoppedProcess&)>& look);

  // Those that stand still, the leader first if it is among them.
  std::vector<pid_t> threads() const;
  // How many did not stop in time.
  size_t unstopped() const;

 private:
  enum class State { attached, stopped, gone };
  struct Thread {
    State state = State::attached;
    int signal = 0;  // that it was about to get
  };

  explicit StoppedProcess(pid_t pid) : pid_(pid) {}
  Result<void> stop(Clock::time_point deadline);
  Result<bool> attach_new_threads();
  bool is_dead(pid_t tid) const;
  bool take_news();
  void let_go();

  pid_t pid_;
  std::map<pid_t, Thread> threads_;
};

}  // namespace crashcrawler
