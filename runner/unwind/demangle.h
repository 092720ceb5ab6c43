// Linkage names as people wrote them.
#pragma once

#include <string>

namespace crashcrawler {

// "_ZN3app5storeEPi.cold" -> "app::store(int*)". What the compiler and the linker appended
// (".cold", ".part.0",
// "@@GLIBC_2.34", the hash of a Rust name) is dropped, so that a function has one name in every
// build. A name that is not mangled, or not in a way libstdc++ knows, comes back without those
// endings.
std::string readable_name(const std::string& linkage_name);

bool is_mangled(const std::string& linkage_name);

}  // namespace crashcrawler
