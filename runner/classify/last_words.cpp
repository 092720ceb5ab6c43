// Three places, in this order:
//
//   The exception that std::terminate() ended on. The collector has found its header on the stack; before it lies
//   struct __cxa_exception, which begins with the type (libstdc++, libsupc++/unwind-cxx.h), behind it the object. What it
//   says is a virtual function, which cannot be called any more: taken for it is the first text that one of its first words
//   points to. That is what() of the standard's exceptions (a pointer behind the virtual table: libstdc++,
//   include/std/stdexcept) and of most others.
//   glibc's __abort_msg (assert/assert.c, sysdeps/posix/libc_fatal.c).
//   Dead stack: musl and static programs leave what they printed last below the stack pointer.
#include "runner/classify/last_words.h"

#include <cxxabi.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <optional>
#include <string_view>

#include "runner/classify/dead_stack.h"

namespace crashcrawler {
namespace {

constexpr uint64_t kTypeBeforeHeader = 80;  // offset of unwindHeader in struct __cxa_exception
constexpr uint64_t kHeaderSize = 32;        // of struct _Unwind_Exception
constexpr uint64_t kWordsOfException = 6;
constexpr size_t kLongest = 1000;

class Memory {
 public:
  explicit Memory(const RawCrash& crash) : crash_(crash) {}

  // All that was kept from `address` on; empty: nothing.
  std::string_view at(uint64_t address) const {
    std::string_view found = at(crash_.memory, address);
    if (found.empty() && !crash_.threads.empty()) {
      found = at(crash_.threads.front().stack, address);
    }
    return found;
  }

  std::optional<uint64_t> word(uint64_t address) const {
    const std::string_view bytes = at(address);
    uint64_t value = 0;
    if (bytes.size() < sizeof value) {
      return std::nullopt;
    }
    std::memcpy(&value, bytes.data(), sizeof value);
    return value;
  }

  std::optional<uint64_t> word(std::optional<uint64_t> address) const {
    return address ? word(*address) : std::nullopt;
  }

  // Up to its NUL, or to the end of what was kept; empty unless all of it can be printed.
  std::string text(std::optional<uint64_t> address) const {
    const std::string_view bytes = address ? at(*address) : std::string_view();
    const std::string_view line = bytes.substr(0, std::min(bytes.find('\0'), kLongest));
    const auto printable = [](char letter) {
      const auto byte = static_cast<unsigned char>(letter);
      return byte >= ' ' ? byte != 0x7f : byte == '\n' || byte == '\t';
    };
    return std::ranges::all_of(line, printable) ? std::string(line) : "";
  }

 private:
  static std::string_view at(const std::vector<MemoryRange>& ranges, uint64_t address) {
    for (const MemoryRange& range : ranges) {
      if (address >= range.address && address < range.end()) {
        return std::string_view(range.bytes).substr(address - range.address);
      }
    }
    return {};
  }

  const RawCrash& crash_;
};

// "St13runtime_error" -> "std::runtime_error"
std::string readable_type(const std::string& name) {
  const std::unique_ptr<char, decltype(&std::free)> readable(
      abi::__cxa_demangle(name.c_str(), nullptr, nullptr, nullptr), &std::free);
  return readable ? readable.get() : name;
}

bool is_integer(const std::string& type) {
  return type.size() == 1 && std::string_view("ijlmxy").find(type[0]) != std::string_view::npos;
}

std::string integer_text(uint64_t word, char type) {
  switch (type) {
    case 'i':
      return std::to_string(static_cast<int32_t>(word));
    case 'j':
      return std::to_string(static_cast<uint32_t>(word));
    case 'l':
    case 'x':
      return std::to_string(static_cast<int64_t>(word));
    default:
      return std::to_string(word);
  }
}

// What the exception `object` of the mangled `type` says; "": nothing that can be told.
std::string words_of_exception(const Memory& memory, const std::string& type, uint64_t object) {
  if (is_integer(type)) {
    const std::optional<uint64_t> value = memory.word(object);
    return value ? integer_text(*value, type[0]) : "";
  }
  const bool has_virtual_table =
      type != "PKc" && type != "Pc" && type.find("basic_string") == std::string::npos;
  for (uint64_t i = has_virtual_table ? 1 : 0; i < kWordsOfException; ++i) {
    if (std::string text = memory.text(memory.word(object + i * sizeof(uint64_t)));
        text.size() > 1) {
      return text;
    }
    if (!has_virtual_table) {
      break;
    }
  }
  return "";
}

bool ends_on_exception(const ThreadBacktrace& thread) {
  return std::ranges::any_of(thread.frames, [](const Frame& frame) {
    return frame.function.starts_with("std::terminate") ||
           frame.function.starts_with("__cxa_throw") ||
           frame.function.starts_with("__cxxabiv1::__terminate");
  });
}

std::string uncaught_exception(const RawCrash& crash) {
  if (crash.exception == 0) {
    return "";
  }
  const Memory memory(crash);
  const std::optional<uint64_t> type_info = memory.word(crash.exception - kTypeBeforeHeader);
  std::string type =
      memory.text(memory.word(type_info ? *type_info + sizeof(uint64_t) : 0));  // struct type_info
  if (type.starts_with('*')) {
    type.erase(0, 1);  // its name is not unique in the program
  }
  if (type.empty()) {
    return "";
  }
  const std::string words = words_of_exception(memory, type, crash.exception + kHeaderSize);
  return "uncaught exception of type " + readable_type(type) + (words.empty() ? "" : ": " + words);
}

// The last line in `memory` (of Rust, with the next one) that has one of the words with which C libraries and runtimes begin to tell why they abort.
std::string words_in_dead_stack(std::string_view memory) {
  constexpr std::string_view kRust = "panicked at ";
  constexpr std::array<std::string_view, 5> kMarks = {
      "Assertion failed: ",               // musl, assert()
      "Assertion `",                      // glibc, in a static program
      "*** stack smashing detected ***",  // glibc, in a static program
      "terminate called",                 // libstdc++
      kRust,
  };
  for (const std::string_view mark : kMarks) {
    if (const size_t at = memory.rfind(mark); at != std::string_view::npos) {
      const std::string_view line = line_at(memory, at);
      const size_t end = static_cast<size_t>(line.data() - memory.data()) + line.size();
      // Rust tells the place in the first line and the reason in the second (1.73 and newer)
      const bool goes_on =
          mark == kRust && line.ends_with(':') && end + 1 < memory.size() && memory[end] == '\n';
      return std::string(line) + (goes_on ? " " + std::string(line_at(memory, end + 1)) : "");
    }
  }
  return "";
}

std::string one_line(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) {
    text.pop_back();
  }
  std::ranges::replace(text, '\n', ' ');
  return text;
}

}  // namespace

std::string last_words(const RawCrash& crash, const Backtrace& backtrace) {
  if (crash.signal.number != SIGABRT || backtrace.threads.empty()) {
    return "";
  }
  std::string words;
  if (ends_on_exception(backtrace.threads.front())) {
    words = uncaught_exception(crash);
  }
  if (words.empty()) {
    words = crash.abort_message;
  }
  if (words.empty()) {
    words = words_in_dead_stack(dead_stack(crash));
  }
  return one_line(std::move(words));
}

}  // namespace crashcrawler
