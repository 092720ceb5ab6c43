// Questions about a thread that is traced, and about the machine that it runs on.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

namespace crashcrawler {

// signal(7): default action "Core" or "Term".
bool is_fatal_signal(int signal);
bool is_stop_signal(int signal);

// PTRACE_GETEVENTMSG: of a fork the child, of an exit its code.
int event_message(pid_t tid);

// What execve(2) was asked for, as it has put that on the stack of the new program.
struct Executed {
  std::string path;     // AT_EXECFN (getauxval(3)); empty: it could not be read
  std::string command;  // the arguments, each with its NUL, so many bytes as a record takes
};

// Of a thread in PTRACE_EVENT_EXEC.
Executed executed_by(pid_t tid);

// How many processes the kernel has ended for want of memory since it was started; 0 where it does not say.
uint64_t oom_kills();

}  // namespace crashcrawler
