// crashcrawler-probe: the one privileged program. Started by crashcrawler-run with a socket as
// standard input.
#include <csignal>
#include <cstdio>

#include "runner/capture/probe/serve.h"

int main() {
  // It outlives what ends its caller, long enough to take everything down: the closed socket tells
  // it when.
  for (const int ignored : {SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGTTOU, SIGTTIN, SIGTSTP}) {
    std::signal(ignored, SIG_IGN);
  }
  const crashcrawler::Result<void> served = crashcrawler::serve(0);
  if (!served) {
    std::fprintf(stderr, "crashcrawler-probe: %s\n", served.error().message.c_str());
    return 125;
  }
  return 0;
}
