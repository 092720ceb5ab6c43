// Result<T>: a value or the reason why there is none. The one error idiom of this project.
//
// A stage returns Result, adds context while it passes an Error up, and neither logs nor exits; the
// program logs it once, at the top. [[nodiscard]] makes forgetting one a compiler warning; where a
// failure truly does not matter it is spelled out with ignore().
#pragma once

#include <cerrno>
#include <cstring>
#include <optional>
#include <string>
#include <utility>
#include <variant>

namespace crashcrawler {

struct Error {
  std::string message;  // what was wrong, where, and what to do; no trailing full stop or newline
  int exit_status =
      125;  // of crashcrawler-run if this ends it: 125 the harness, 126/127 the command

  // The same error, seen from one level further out: "context: message".
  Error in(const std::string& context) const { return {context + ": " + message, exit_status}; }
};

// An Error that ends in the text of errno, to be called before anything can change it.
inline Error errno_error(const std::string& what) {
  return {what + ": " + std::strerror(errno)};
}

template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

  explicit operator bool() const { return state_.index() == 0; }
  T& operator*() { return *std::get_if<0>(&state_); }
  const T& operator*() const { return *std::get_if<0>(&state_); }
  T* operator->() { return std::get_if<0>(&state_); }
  const T* operator->() const { return std::get_if<0>(&state_); }
  const Error& error() const { return *std::get_if<1>(&state_); }

 private:
  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)) {}

  explicit operator bool() const { return !error_; }
  const Error& error() const { return *error_; }

 private:
  std::optional<Error> error_;
};

// For the failures that do not matter, so that the reader sees it was a decision.
template <typename T>
void ignore(const Result<T>&) {}

}  // namespace crashcrawler
