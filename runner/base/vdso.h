// The code that the kernel maps into every process (vdso(7)): a file that exists in memory alone.
#pragma once

#include <string_view>

namespace crashcrawler {

// The vdso of this process; empty: none. The kernel maps the same image into every process of one kind.
std::string_view own_vdso_bytes();

}  // namespace crashcrawler
