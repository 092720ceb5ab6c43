#include "tests/unit/unwind/programs.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace crashcrawler::tests {

std::string program(const std::string& name) {
  return UNWIND_PROGRAMS "/" + name;
}

std::string source(const std::string& file) {
  return UNWIND_SOURCES "/" + file;
}

int marked_line(const std::string& file, const std::string& mark) {
  std::ifstream lines(source(file));
  const std::string wanted = "MARK: " + mark;
  std::string line;
  for (int number = 1; std::getline(lines, line); ++number) {
    const size_t at = line.find(wanted);
    const size_t end = at + wanted.size();
    if (at != std::string::npos && (end == line.size() || line[end] == ' ')) {
      return number;
    }
  }
  ADD_FAILURE() << "no \"" << wanted << "\" in " << file;
  return -1;
}

LiveSnapshot crash_of(const std::string& name, const std::string& argument, int signal,
                      size_t stack_bytes) {
  Result<LiveSnapshot> snapshot =
      snapshot_at_signal({program(name), argument}, signal, stack_bytes);
  if (!snapshot) {
    ADD_FAILURE() << snapshot.error().message;
    LiveSnapshot empty;
    empty.crash.threads.emplace_back();
    return empty;
  }
  return std::move(*snapshot);
}

Backtrace backtrace_of(const LiveSnapshot& snapshot, const UnwindLimits& limits) {
  std::vector<Backtrace> backtraces = unwind({snapshot.crash}, snapshot.files, limits);
  return std::move(backtraces.at(0));
}

const Frame* frame_of(const ThreadBacktrace& thread, const std::string& function) {
  const auto found = std::find_if(thread.frames.begin(), thread.frames.end(),
                                  [&](const Frame& frame) { return frame.function == function; });
  return found == thread.frames.end() ? nullptr : &*found;
}

std::string to_text(const Backtrace& backtrace) {
  static constexpr const char* kTrust[] = {"context", "cfi", "frame_pointer", "scan"};
  std::ostringstream text;
  for (const ThreadBacktrace& thread : backtrace.threads) {
    text << "\nthread " << thread.tid << " " << thread.name << ": " << thread.stop_reason << ", "
         << thread.elided_frames << " elided\n";
    for (const Frame& frame : thread.frames) {
      text << "  " << std::hex << frame.instruction_addr << std::dec << " "
           << kTrust[static_cast<int>(frame.trust)] << (frame.signal_frame ? " signal" : "")
           << (frame.in_app ? " app " : " ") << frame.function << " (" << frame.raw_function << "+"
           << frame.function_offset << ") " << frame.location.file << ":" << frame.location.line
           << ":" << frame.location.column;
      if (frame.module) {
        text << " " << backtrace.modules[*frame.module].path << "+" << std::hex
             << frame.module_offset << std::dec;
      }
      text << "\n";
      for (const InlinedFunction& inlined : frame.inlines) {
        text << "    inlined " << inlined.function << " (" << inlined.raw_function << ") "
             << inlined.location.file << ":" << inlined.location.line << ":"
             << inlined.location.column << "\n";
      }
    }
  }
  for (const std::string& error : backtrace.soft_errors) {
    text << "  ! " << error << "\n";
  }
  return text.str();
}

TemporaryFolder::TemporaryFolder() {
  std::string pattern = (std::filesystem::temp_directory_path() / "unwind-test-XXXXXX").string();
  const char* made = ::mkdtemp(pattern.data());
  EXPECT_NE(made, nullptr) << "cannot make " << pattern;
  path_ = pattern;
}

TemporaryFolder::~TemporaryFolder() {
  std::filesystem::remove_all(path_);
}

}  // namespace crashcrawler::tests
