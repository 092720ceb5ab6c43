// Descriptors in a process that we fork and that never executes anything.
#pragma once

namespace crashcrawler {

// Closes those that an exec would close, but for `keep`: they are our own, and while a copy of one end of a socket is
// open somewhere, nobody at the other end sees that we are gone. Those that we were started with stay.
void close_own_descriptors(int keep);

}  // namespace crashcrawler
