// Whether somebody may look at processes that are not below his command.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "runner/base/result.h"
#include "runner/base/unique_fd.h"

namespace crashcrawler {

// A user who asks for something.
struct Asking {
  uid_t uid = 0;
  std::string groups;  // "Gid" and "Groups" of proc_pid_status(5): all numbers, each between blanks
};

// Who asks: the user of SUDO_UID, and else whoever `pid` runs as; root when it was root who started us without sudo in
// between. `pid` has been found to belong to him. Error: it is gone.
Result<Asking> who_asks(pid_t pid);

// Whether he may tell an engine of this machine what to do, who is root and does it: the engine's socket lies at its well-known
// place, belongs to root, and he may write to it.
bool may_use_engine(const Asking& asking);

struct AttachedCgroup {
  UniqueFd directory;
  bool all_of_it =
      false;  // he may see all that is or will be in it, and not only what runs as himself: memory and files
};

// The process ids of all threads in a cgroup and below it; "0" for one outside of our pid namespace.
std::vector<std::string> processes_below(const std::string& directory);

// Opens a cgroup2 directory for him, if he is root, may use an engine, or if all processes that are in it now are his own, or
// in a user namespace of his. Error: it is none, or not for him.
Result<AttachedCgroup> open_for(const Asking& asking, const std::string& directory);

}  // namespace crashcrawler
