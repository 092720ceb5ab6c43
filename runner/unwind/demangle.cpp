#include "runner/unwind/demangle.h"

#include <cxxabi.h>

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

// Rust's older scheme is the Itanium one with a last component "h" and 16 hexadecimal digits.
std::string without_rust_hash(std::string name) {
  constexpr size_t kLength = 19;  // "::h" and the digits
  if (name.size() <= kLength || name.compare(name.size() - kLength, 3, "::h") != 0) {
    return name;
  }
  const bool digits = std::all_of(name.end() - 16, name.end(),
                                  [](unsigned char c) { return std::isxdigit(c) != 0; });
  return digits ? name.substr(0, name.size() - kLength) : name;
}

}  // namespace

bool is_mangled(const std::string& linkage_name) {
  return linkage_name.starts_with("_Z");
}

std::string readable_name(const std::string& linkage_name) {
  std::string_view plain = linkage_name;
  plain = plain.substr(0, plain.find('@'));
  std::string name(without_clone_endings(plain));
  if (!is_mangled(name) || name.size() > kLongestName) {
    return name;
  }
  int status = 0;
  const std::unique_ptr<char, FreeDeleter> demangled(
      abi::__cxa_demangle(name.c_str(), nullptr, nullptr, &status));
  return status == 0 && demangled ? without_rust_hash(demangled.get()) : name;
}

}  // namespace crashcrawler
