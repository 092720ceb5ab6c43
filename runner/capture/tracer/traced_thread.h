// Questions about a thread that is traced, and about the machine that it runs on.
#pragma once

#include <sys/types.h>

#include <cstdint>

namespace crashcrawler {

// signal(7): default action "Core" or "Term".
bool is_fatal_signal(int signal);
bool is_stop_signal(int signal);

// PTRACE_GETEVENTMSG: of a fork the child, of an exit its code.
int event_message(pid_t tid);

// How many processes the kernel has ended for want of memory since it was started; 0 where it does not say.
uint64_t oom_kills();

}  // namespace crashcrawler
