// Stage 1 for a command that is run many times: one process, held until the collector watches it, which then starts attempt
// after attempt. They are born watched, so that the collector is loaded once for all of them.
#pragma once

#include <sys/types.h>

#include <memory>
#include <optional>
#include <string>

#include "runner/base/result.h"
#include "runner/model/attempt.h"
#include "runner/model/run.h"

namespace crashcrawler {

// What the server says. pid: of the attempt's command.
struct AttemptEvent {
  enum class Kind : int32_t { started, not_started, stopped, exited, killed } kind = Kind::started;
  int32_t number = 0;
  int32_t pid = 0;
  int32_t status = 0;  // errno, signal or exit code
};

class AttemptServer {
 public:
  // Forks the server: a copy of this process that never executes another program; its children are what
  // HeldCommand::start() would have made, but for their standard input. That is the file that is ours, from where we are in
  // it, when it is an ordinary file, and empty otherwise: what one attempt has read the next one would miss. Call it before
  // any thread exists.
  static Result<AttemptServer> start(const Command& command, const std::string& executable,
                                     bool keep_core);

  AttemptServer(AttemptServer&&) noexcept;
  AttemptServer& operator=(AttemptServer&&) noexcept;
  ~AttemptServer();  // it ends; attempts that run go on

  pid_t pid() const;
  int fd() const;  // to be polled for POLLIN: next_event() has something

  // Has attempt `number` started in the cgroup directory `cgroup` (empty: wherever the server is), disturbed by `chaos` if
  // there is any. Its STARTED or NOT_STARTED comes as an event, after exec. Error: the server is gone.
  Result<void> start_attempt(int number, const std::string& cgroup,
                             const std::optional<ChaosSettings>& chaos);

  // Sends a signal to the command of an attempt, if it has not been waited for.
  void send_signal(int number, int signal);

  // Has the server move to another cgroup: one with processes of its own cannot hand controllers down.
  Result<void> move_to(const std::string& cgroup);

  // The next event; nullopt: none now. Error: the server is gone.
  Result<std::optional<AttemptEvent>> next_event();

 private:
  struct State;
  explicit AttemptServer(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace crashcrawler
