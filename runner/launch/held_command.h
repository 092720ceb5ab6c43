// Stage 1: the command under test, started but held before its exec until the collector watches it.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "runner/base/result.h"
#include "runner/model/run.h"

namespace crashcrawler {

// Whom the command runs as, when the wrapper itself was started by root for somebody (sudo,
// --user).
struct TargetUser {
  uid_t uid = 0;
  gid_t gid = 0;
  std::string name, home, shell;  // name empty: the number has no entry in the user database
};

// `requested` (name or number), else, when we are root, the user behind sudo (SUDO_UID, SUDO_GID).
// nullopt: run as whoever we are. Error: unknown user, or somebody else is requested by a caller
// who is not root.
Result<std::optional<TargetUser>> target_user(const std::string& requested);

// Gives up root for `user`, for this process and for good: groups, gid, uid, and HOME, USER,
// LOGNAME, SHELL.
Result<void> become(const TargetUser& user);

// The file that execvp(3) would run for arguments[0], seen with the rights we have now: call it
// after become(). Error: exit_status 127 not found, 126 not executable.
Result<std::string> resolve_executable(const Command& command);

// In a child before its exec, and async-signal-safe: the soft RLIMIT_CORE becomes 1, so that a piped core_pattern does not
// run (core(5)).
void limit_core();
// In the same place: a Ctrl-Z from before is forgotten.
void forget_pending_stop();

class HeldCommand {
 public:
  // Forks the child: same process group, terminal, stdin, stdout, stderr, directory and environment
  // as ours, signal dispositions and mask as we inherited them. It waits before exec. When we die
  // it ends itself with 125. `keep_core` false: the soft RLIMIT_CORE becomes 1, so that a piped
  // core_pattern does not run (core(5)).
  static Result<HeldCommand> start(const Command& command, const std::string& executable,
                                   bool keep_core);

  HeldCommand(HeldCommand&&) noexcept;
  HeldCommand& operator=(HeldCommand&&) noexcept;
  ~HeldCommand();  // not released: the child ends without having run anything

  pid_t pid() const;

  // Lets it exec and returns once it has. Error (exit_status 126/127): execve failed; the child is
  // gone.
  Result<void> release();

  // When release() let it go. Meaningless before.
  std::chrono::system_clock::time_point started() const;
  std::chrono::steady_clock::time_point started_steady() const;

 private:
  struct State;
  explicit HeldCommand(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace crashcrawler
