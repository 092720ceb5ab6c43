// Ctrl-Z with a wrapper in between.
#pragma once

#include <sys/types.h>

namespace crashcrawler {

// To be called when the command (our child `pid`) has been stopped by `signal`: stops us the same
// way, so that the shell sees it, and returns, with the command continued, when somebody continues
// us. Does nothing where no shell could.
void stop_like_the_command(pid_t pid, int signal);

}  // namespace crashcrawler
