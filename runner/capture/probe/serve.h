// The whole life of crashcrawler-probe: one run, served over one socket.
#pragma once

#include "runner/base/result.h"

namespace crashcrawler {

// Speaks runner/capture/probe_protocol.h on `socket` until FINISH or the other end is gone, and
// leaves nothing behind. Error: the stream was broken or something could not be taken down;
// whatever could be, was.
Result<void> serve(int socket);

}  // namespace crashcrawler
