#include "runner/unwind/demangle.h"

#include <cxxabi.h>
#include <libiberty/demangle.h>

#include <algorithm>
#include <cctype>
#include <memory>
#include <string_view>

#include "runner/unwind/elf_handles.h"

namespace crashcrawler {

namespace {

// A template can grow a name to megabytes, and the demangler's need grows faster than the name.
constexpr size_t kLongestName = 16384;

bool is_number(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(),
                                      [](unsigned char c) { return std::isdigit(c) != 0; });
}

// GCC and Clang name the pieces and clones of a function "name.kind" or "name.kind.number".
bool is_clone_kind(std::string_view text) {
  static constexpr std::string_view kKinds[] = {"cold",  "part",     "isra", "constprop",
                                                "clone", "lto_priv", "llvm", "localalias"};
  return std::find(std::begin(kKinds), std::end(kKinds), text) != std::end(kKinds);
}

std::string_view without_clone_endings(std::string_view name) {
  for (;;) {
    const size_t dot = name.rfind('.');
    if (dot == std::string_view::npos || dot == 0) {
      return name;
    }
    const std::string_view ending = name.substr(dot + 1);
    if (is_clone_kind(ending)) {
      name = name.substr(0, dot);
      continue;
    }
    const size_t before = name.rfind('.', dot - 1);
    if (!is_number(ending) || before == std::string_view::npos || before == 0 ||
        !is_clone_kind(name.substr(before + 1, dot - before - 1))) {
      return name;
    }
    name = name.substr(0, before);
  }
}

using Demangled = std::unique_ptr<char, FreeDeleter>;

Demangled demangled_cpp(const char* name) {
  int status = 0;
  return Demangled(abi::__cxa_demangle(name, nullptr, nullptr, &status));
}

bool is_rust_v0(std::string_view name) {
  return name.size() > 2 && name.starts_with("_R") &&
         std::isupper(static_cast<unsigned char>(name[2])) != 0;
}

bool is_d(std::string_view name) {
  return name.size() > 2 && name.starts_with("_D") &&
         std::isdigit(static_cast<unsigned char>(name[2])) != 0;
}

// Rust's older scheme is the one of C++ with a last component "h" and 16 hexadecimal digits, so it is asked first.
Demangled demangled(const char* name) {
  if (is_d(name)) {
    return Demangled(dlang_demangle(name, DMGL_PARAMS));
  }
  Demangled rust(rust_demangle(name, DMGL_PARAMS));
  return rust || is_rust_v0(name) ? std::move(rust) : demangled_cpp(name);
}

}  // namespace

bool is_mangled(const std::string& linkage_name) {
  return linkage_name.starts_with("_Z") || is_rust_v0(linkage_name) || is_d(linkage_name);
}

std::string readable_name(const std::string& linkage_name) {
  std::string_view plain = linkage_name;
  plain = plain.substr(0, plain.find('@'));
  std::string name(without_clone_endings(plain));
  if (!is_mangled(name) || name.size() > kLongestName) {
    return name;
  }
  const Demangled readable = demangled(name.c_str());
  return readable ? readable.get() : name;
}

}  // namespace crashcrawler
