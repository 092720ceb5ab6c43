// Stage 1, second half: waiting for the command as if we were not there.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "runner/base/result.h"
#include "runner/launch/held_command.h"
#include "runner/model/run.h"

namespace crashcrawler {

enum class LeftoverPolicy { leave, wait, kill };

struct Supervision {
  // Directory of the tree's cgroup, readable by us. Empty: there is none.
  std::string cgroup;
  // Without a cgroup: the pids of the tree's processes. Empty: only the command counts.
  std::function<std::vector<pid_t>()> list_tree;
  std::chrono::milliseconds linger{2000};
  LeftoverPolicy leftovers = LeftoverPolicy::leave;
  // Writes cgroup.kill, through whoever may. Empty: the processes that are known are killed one by one.
  std::function<void()> kill_tree;
  // How long the command may take from its release on; and, where leftovers are waited for, they too.
  std::optional<std::chrono::milliseconds> timeout;
  std::chrono::milliseconds grace{5000};  // between SIGTERM and kill_tree when that time is over
  // Looks at the processes of the tree before they are ended. Returns soft errors. Empty: nobody looks.
  std::function<std::vector<std::string>(const std::vector<pid_t>&)> at_timeout;
};

// To be called early in main(), before any thread exists: blocks the signals that supervise()
// handles, so that every thread made later inherits the mask. HeldCommand::start gives the child
// the mask from before. SIGPIPE is blocked with them: write errors arrive as EPIPE.
void block_supervised_signals();

// Waits until the command has ended and, then, until its tree is empty: at most `linger` (leave,
// kill) or as long as it takes (wait). Meanwhile SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2
// and SIGALRM sent to us are passed to the command (not those that the terminal or the tree itself
// has sent to the whole process group), a second SIGINT kills the tree, and a stop of the command
// by job control stops us too. Once the command has ended, SIGINT, SIGTERM, SIGHUP and SIGQUIT end
// the waiting for the rest. When the time-out comes first, every process of the tree gets SIGTERM and, where it was
// stopped, goes on; what is left after the grace time is killed, whatever `leftovers` says. What still runs at the end is in RunOutcome::leftovers (for kill: what
// was killed).
Result<RunOutcome> supervise(HeldCommand& command, const Supervision& supervision);

}  // namespace crashcrawler
