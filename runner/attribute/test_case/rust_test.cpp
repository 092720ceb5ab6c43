// Rust's libtest calls a test through test::__rust_begin_short_backtrace and a closure or two: the function above those is
// the test. libtest's name for it is its path without the crate. (library/test/src/lib.rs, 1.63)
#include <algorithm>

#include "runner/attribute/test_case/framework.h"

namespace crashcrawler {
namespace {

std::optional<Clue> from_arguments(const std::vector<std::string>& arguments) {
  const bool exact = std::ranges::find(arguments, "--exact") != arguments.end();
  std::string name;
  size_t names = 0;
  for (size_t i = 1; i < arguments.size(); ++i) {
    if (!arguments[i].starts_with("-")) {
      name = arguments[i];
      ++names;
    }
  }
  if (!exact || names != 1) {
    return std::nullopt;
  }
  Clue clue;
  clue.rank = Rank::arguments;
  clue.candidate = {name, "argument --exact"};
  clue.framework = "rust";
  clue.name = name;
  return clue;
}

bool is_glue(std::string_view name) {
  return name.starts_with("core::ops::function::") || name.starts_with("<alloc::boxed::Box<") ||
         name.find("::call_once") != std::string_view::npos;
}

std::string without_closures(std::string_view name) {
  constexpr std::string_view kClosure = "::{{closure}}";
  while (name.ends_with(kClosure)) {
    name.remove_suffix(kClosure.size());
  }
  return std::string(name);
}

std::optional<Clue> from_stack(const StackFunctions& functions, SourceTexts&) {
  const auto begin = std::ranges::find_if(functions, [](const StackFunction& function) {
    return function.name.starts_with("test::__rust_begin_short_backtrace");
  });
  if (begin == functions.end()) {
    return std::nullopt;
  }
  for (auto function = begin; function != functions.begin();) {
    --function;
    if (function->name.empty() || is_glue(function->name)) {
      continue;
    }
    const std::string path = without_closures(function->name);
    const size_t crate = path.find("::");
    Clue clue;
    clue.framework = "rust";
    clue.suite = crate == std::string::npos ? "" : path.substr(0, crate);
    clue.name = crate == std::string::npos ? path : path.substr(crate + 2);
    clue.candidate = {path, "frame"};
    return clue;
  }
  return std::nullopt;
}

}  // namespace

const Framework kRustTest{nullptr, from_arguments, from_stack};

}  // namespace crashcrawler
