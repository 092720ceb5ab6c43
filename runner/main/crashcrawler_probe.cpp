// crashcrawler-probe: the one privileged program. Started by crashcrawler-run with a socket as
// standard input.
#include <csignal>
#include <cstdio>
#include <fstream>

#include "runner/capture/probe/serve.h"

int main() {
  // When memory runs out in what the tests share with us, they are to be the victims: the ring is counted as ours, and
  // without us nobody would tell of them. Allowed with CAP_SYS_RESOURCE (proc_pid_oom_score_adj(5)).
  std::ofstream("/proc/self/oom_score_adj") << -1000;
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
