#include "runner/unwind/wire.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <type_traits>
#include <unordered_map>

namespace crashcrawler {

namespace {

constexpr size_t kMostText = size_t{256} << 20;  // of repeated strings, in bytes

// Both directions in one description: each `fields` below visits the members of a struct in order,
// with a writer or with a reader.
class Writer {
 public:
  void number(const uint64_t& value) {
    uint64_t rest = value;
    for (; rest >= 0x80; rest >>= 7) {
      bytes_ += static_cast<char>(rest | 0x80);
    }
    bytes_ += static_cast<char>(rest);
  }

  template <typename Integer>
  void integer(const Integer& value) {
    number(static_cast<uint64_t>(value));
  }

  void text(const std::string& value) {
    const auto [known, is_new] = strings_.try_emplace(value, strings_.size());
    number(is_new ? 0 : known->second + 1);
    if (is_new) {
      number(value.size());
      bytes_ += value;
    }
  }

  template <typename T, typename Each>
  void list(const std::vector<T>& values, const Each& each) {
    number(values.size());
    for (const T& value : values) {
      each(value);
    }
  }

  std::string take() { return std::move(bytes_); }

 private:
  std::string bytes_;
  std::unordered_map<std::string, uint64_t> strings_;
};

class Reader {
 public:
  explicit Reader(std::string_view bytes) : bytes_(bytes) {}

  void number(uint64_t& value) {
    value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      if (bytes_.empty()) {
        break;
      }
      const auto byte = static_cast<unsigned char>(bytes_.front());
      bytes_.remove_prefix(1);
      value |= static_cast<uint64_t>(byte & 0x7f) << shift;
      if ((byte & 0x80) == 0) {
        return;
      }
    }
    fail();
  }

  template <typename Integer>
  void integer(Integer& value) {
    uint64_t wide = 0;
    number(wide);
    value = static_cast<Integer>(wide);
  }

  void text(std::string& value) {
    uint64_t index = 0;
    number(index);
    if (index != 0) {
      if (index > strings_.size()) {
        return fail();
      }
      value = strings_[index - 1];
      // two bytes of message can ask for a copy of megabytes
      text_budget_ -= std::min(text_budget_, value.size());
      return text_budget_ == 0 ? fail() : void();
    }
    uint64_t size = 0;
    number(size);
    if (size > bytes_.size()) {
      return fail();
    }
    value = bytes_.substr(0, size);
    bytes_.remove_prefix(size);
    strings_.push_back(value);
  }

  // An element takes at least one byte: a count that lies runs out of bytes before it takes memory.
  template <typename T, typename Each>
  void list(std::vector<T>& values, const Each& each) {
    uint64_t count = 0;
    number(count);
    for (uint64_t i = 0; i < count && !failed_; ++i) {
      each(values.emplace_back());
    }
  }

  bool is_done() const { return !failed_ && bytes_.empty(); }

 private:
  void fail() {
    failed_ = true;
    bytes_ = {};
  }

  std::string_view bytes_;
  std::vector<std::string> strings_;
  size_t text_budget_ = kMostText;
  bool failed_ = false;
};

// What a pointer that may be null points to.
template <typename Stream, typename T, typename Fields>
void optional_fields(Stream& stream, const std::shared_ptr<const T>& value,
                     const Fields& fields) requires std::is_same_v<Stream, Writer> {
  const bool is_known = value != nullptr;
  stream.integer(is_known);
  if (is_known) {
    fields(*value);
  }
}

template <typename Stream, typename T, typename Fields>
void optional_fields(Stream& stream, std::shared_ptr<const T>& value,
                     const Fields& fields) requires std::is_same_v<Stream, Reader> {
  bool is_known = false;
  stream.integer(is_known);
  if (is_known) {
    const auto read = std::make_shared<T>();
    fields(*read);
    value = read;
  }
}

template <typename Stream, typename Value>
void location_fields(Stream& stream, Value& location) {
  stream.text(location.file);
  stream.integer(location.line);
  stream.integer(location.column);
  optional_fields(stream, location.text, [&](auto& text) {
    stream.integer(text.first_line);
    stream.list(text.lines, [&](auto& line) { stream.text(line); });
    stream.integer(text.newer_than_program);
  });
}

template <typename Stream, typename Value>
void register_fields(Stream& stream, Value& r) {
  for (auto* value : {&r.r15, &r.r14, &r.r13,    &r.r12, &r.rbp, &r.rbx,     &r.r11,    &r.r10,
                      &r.r9,  &r.r8,  &r.rax,    &r.rcx, &r.rdx, &r.rsi,     &r.rdi,    &r.orig_rax,
                      &r.rip, &r.cs,  &r.rflags, &r.rsp, &r.ss,  &r.fs_base, &r.gs_base}) {
    stream.number(*value);
  }
}

template <typename Stream, typename Value>
void signal_fields(Stream& stream, Value& signal) {
  stream.integer(signal.number);
  stream.integer(signal.code);
  stream.integer(signal.error);
  stream.number(signal.fault_address);
  stream.integer(signal.sender_pid);
  stream.integer(signal.sender_uid);
}

template <typename Stream, typename Value>
void interrupted_fields(Stream& stream, Value& interrupted) {
  signal_fields(stream, interrupted.signal);
  register_fields(stream, interrupted.registers);
}

template <typename Stream, typename Value>
void disassembly_fields(Stream& stream, Value& disassembly) {
  stream.list(disassembly.instructions, [&](auto& instruction) {
    stream.number(instruction.address);
    stream.text(instruction.bytes);
    stream.text(instruction.text);
  });
  stream.number(disassembly.current);
  stream.list(disassembly.accesses, [&](auto& access) {
    stream.number(access.address);
    stream.number(access.size);
    stream.integer(access.reads);
    stream.integer(access.writes);
  });
}

template <typename Stream, typename Value>
void frame_fields(Stream& stream, Value& frame) {
  stream.integer(frame.trust);
  stream.number(frame.instruction_addr);
  // 0: no module, else its index + 1
  uint64_t module = frame.module ? *frame.module + 1 : 0;
  stream.number(module);
  if constexpr (!std::is_const_v<Value>) {
    frame.module = module == 0 ? std::nullopt : std::optional<size_t>(module - 1);
  }
  stream.number(frame.module_offset);
  stream.text(frame.function);
  stream.text(frame.raw_function);
  stream.number(frame.function_offset);
  location_fields(stream, frame.location);
  stream.list(frame.inlines, [&](auto& inlined) {
    stream.text(inlined.function);
    stream.text(inlined.raw_function);
    location_fields(stream, inlined.location);
  });
  stream.integer(frame.signal_frame);
  optional_fields(stream, frame.interrupted,
                  [&](auto& interrupted) { interrupted_fields(stream, interrupted); });
  optional_fields(stream, frame.disassembly,
                  [&](auto& disassembly) { disassembly_fields(stream, disassembly); });
  stream.integer(frame.in_app);
}

template <typename Stream, typename Value>
void backtrace_fields(Stream& stream, Value& backtrace) {
  stream.list(backtrace.threads, [&](auto& thread) {
    stream.integer(thread.tid);
    stream.text(thread.name);
    stream.integer(thread.crashed);
    register_fields(stream, thread.registers);
    stream.list(thread.frames, [&](auto& frame) { frame_fields(stream, frame); });
    stream.number(thread.elided_frames);
    stream.number(thread.elided_after);
    stream.text(thread.stop_reason);
  });
  stream.list(backtrace.modules, [&](auto& module) {
    stream.text(module.path);
    stream.number(module.base);
    stream.number(module.end);
    stream.number(module.load_bias);
    stream.text(module.build_id);
    stream.text(module.soname);
    stream.integer(module.deleted);
    stream.integer(module.changed_on_disk);
    stream.text(module.package_note);
    stream.text(module.symbol_version);
    stream.list(module.compilers, [&](auto& compiler) { stream.text(compiler); });
  });
  stream.list(backtrace.soft_errors, [&](auto& error) { stream.text(error); });
}

bool makes_sense(const Backtrace& backtrace) {
  for (const ThreadBacktrace& thread : backtrace.threads) {
    if (thread.elided_after > thread.frames.size()) {
      return false;
    }
    for (const Frame& frame : thread.frames) {
      if (frame.trust < Trust::context || frame.trust > Trust::scan ||
          (frame.module && *frame.module >= backtrace.modules.size()) ||
          (frame.disassembly &&
           frame.disassembly->current >= frame.disassembly->instructions.size())) {
        return false;
      }
    }
  }
  return true;
}

}  // namespace

std::string to_wire(const Backtrace& backtrace) {
  Writer writer;
  backtrace_fields(writer, backtrace);
  return writer.take();
}

Result<Backtrace> from_wire(std::string_view bytes) {
  Reader reader(bytes);
  Backtrace backtrace;
  backtrace_fields(reader, backtrace);
  if (!reader.is_done() || !makes_sense(backtrace)) {
    return Error{"the unwinding child sent a broken message"};
  }
  return backtrace;
}

}  // namespace crashcrawler
