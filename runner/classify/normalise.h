// The name of a function with everything taken off that changes without the function being another
// one.
#pragma once

#include <string>
#include <string_view>

namespace crashcrawler {

// "void ns::box<int>::put<char>(char) const [clone .cold]" -> "ns::box::put". Takes demangled
// names, linkage names (C++ ones are demangled first) and plain C names; what it does not
// understand comes back as it is.
std::string normalise_function(std::string_view name);

// "/usr/lib/libfoo-1.2.so.3.4 (deleted)" -> "libfoo.so".
std::string normalise_module(std::string_view path);

}  // namespace crashcrawler
