// Stage 1: the privileged helper, started with a socket as its standard input.
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>

#include "runner/base/result.h"
#include "runner/base/unique_fd.h"

namespace crashcrawler {

// A running crashcrawler-probe. Wait for it with wait_for_probe().
struct ProbeProcess {
  std::string path;
  pid_t pid = -1;
  UniqueFd socket;    // our end of a SOCK_STREAM pair; the other is the probe's fd 0
  UniqueFd messages;  // read end of the probe's stdout and stderr
  bool through_sudo = false;
};

// The probe beside our own executable, or in ../libexec/crashcrawler. Error: neither exists.
Result<std::string> find_probe();

// Starts it: directly when we are root or have CAP_BPF and CAP_PERFMON as ambient capabilities
// (those that survive exec), with `sudo -n` otherwise. In a process group of its own, so that
// Ctrl-C in the terminal does not reach it. Whether that is enough is for the probe to find out.
// Error: not capable and no sudo in PATH, or nothing could be started; the message says what to do.
Result<ProbeProcess> start_probe(const std::string& path);

// A collector that needs no privilege and no program of its own: forks a child that runs `serve` with its end of the
// socket and ends with it. In a process group of its own, all signals blocked, nothing of ours open. To be called while
// we have one thread.
Result<ProbeProcess> start_tracer(const std::function<void(int socket)>& serve);

// Closes the socket, which ends the probe, reaps it and returns what it wrote (at most 64 KiB), for
// the message when the handshake failed. When it was sudo that refused, the text says what to do
// about it.
std::string wait_for_probe(ProbeProcess& probe);

}  // namespace crashcrawler
