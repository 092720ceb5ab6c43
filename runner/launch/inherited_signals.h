// The signal state this process was started with, so that the command can be given the same one.
#pragma once

#include <csignal>
#include <cstdint>

namespace crashcrawler {

// The signals that supervise() takes from the signalfd and acts on: SIGCHLD, and those to pass on
// that were not ignored when we were started (`nohup`, `command &` in a script: what was to be
// ignored stays ignored). Empty until block_supervised_signals() has been called.
const sigset_t& supervised_signals();

// Undoes block_supervised_signals() in a forked child that is about to exec. Async-signal-safe.
void restore_inherited_signals();

}  // namespace crashcrawler
