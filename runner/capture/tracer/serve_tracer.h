// The whole life of the tracer: one run, served over one socket.
#pragma once

#include <string>

namespace crashcrawler {

// Speaks runner/capture/probe_protocol.h on `socket` until FINISH or the other end is gone; whom it has traced goes on
// without it when its process ends. To be called in a process of its own that has all signals blocked and no children.
// `why`: not BPF, for the report; empty: it was asked for.
void serve_tracer(int socket, const std::string& why);

}  // namespace crashcrawler
