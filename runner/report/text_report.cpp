// Laid out for 100 to 120 columns: the sentence, the facts, the stack that matters, and only then
// what one looks up. Every text that comes from the dead process goes through brief(), so that a
// line is a line.
#include "runner/report/text_report.h"

#include <fmt/format.h>
#include <sys/wait.h>

#include <algorithm>

#include "runner/base/signal_names.h"
#include "runner/report/explanation.h"
#include "runner/report/headline.h"
#include "runner/report/stack.h"
#include "runner/report/text.h"
#include "runner/report/words.h"

namespace crashcrawler {
namespace {

constexpr size_t kColumns = 116;
constexpr size_t kCrashedRows = 400, kOtherRows = 64;  // of a stack, after folding; JSON has all
constexpr size_t kOtherThreads = 200;
constexpr size_t kLongestValue = 1000;
constexpr size_t kRegistersPerLine = 4;

void fact(std::string& text, const char* name, const std::string& value) {
  if (!value.empty()) {
    text += fmt::format("{:<11}{}\n", name, brief(value, kLongestValue));
  }
}

const char* trust_word(Trust trust) {
  switch (trust) {
    case Trust::context:
      return "context";
    case Trust::cfi:
      return "cfi";
    case Trust::frame_pointer:
      return "frame pointer";
    case Trust::scan:
      return "scan";
  }
  return "scan";
}

std::string stack_row(const StackLine& line, const Backtrace& backtrace,
                      const std::string& directory) {
  const std::string number = fmt::format("#{}", line.index);
  const std::string marks = line.inlined               ? "inlined"
                            : line.frame->signal_frame ? "signal handler called"
                                                       : trust_word(line.frame->trust);
  const std::string head = fmt::format(" {:<4} {}", number, function_text(line, backtrace));
  std::string place = place_text(line, backtrace, directory);
  if (place.empty()) {
    return head + " [" + marks + "]\n";
  }
  place = (line.location().file.empty() ? "in " : "at ") + place + " [" + marks + "]\n";
  const bool fits = count_characters(head) + 1 + count_characters(place) <= kColumns;
  return head + (fits ? " " : "\n        ") + place;
}

std::string signal_facts(const RawCrash& raw) {
  const RawSignal& signal = raw.signal;
  const std::string code = signal_code_name(signal.number, signal.code);
  std::string text = fmt::format("{} ({}), code {} ({})", signal_name(signal.number), signal.number,
                                 code.empty() ? "unknown" : code, signal.code);
  if (has_fault_address(signal.number, signal.code)) {
    text += ", address " + hex(signal.fault_address);
  }
  if (has_sender(signal.number, signal.code)) {
    text += fmt::format(", sent by pid {} (uid {})", signal.sender_pid, signal.sender_uid);
  }
  return text;
}

std::string exit_facts(const RawCrash& raw) {
  if (raw.alive) {
    return "none, it was looked at alive";
  }
  if (!raw.has_exit) {
    return "not seen";
  }
  if (WIFSIGNALED(raw.wait_status)) {
    return "killed by " + signal_name(WTERMSIG(raw.wait_status));
  }
  return "exited with " + std::to_string(WEXITSTATUS(raw.wait_status));
}

std::string started_by(const std::vector<Ancestor>& ancestors) {
  std::string text;
  for (const Ancestor& ancestor : ancestors) {
    text += fmt::format("{}{} ({})", text.empty() ? "" : " < ", ancestor.name, ancestor.pid);
  }
  return text;
}

std::string signature_facts(const Signature& signature) {
  std::string text = signature.algorithm + " " + signature.hash;
  for (const std::string& frame : signature.frames) {
    text += (&frame == &signature.frames.front() ? ": " : " < ") + frame;
  }
  return signature.hash.empty() ? "" : text;
}

std::string registers_text(const ThreadBacktrace& thread, Architecture architecture) {
  const int digits = architecture == Architecture::i386 ? 8 : 16;
  std::string text;
  size_t count = 0;
  for (const auto& [name, value] : register_values(thread.registers, architecture)) {
    text += fmt::format(" {:>8} {:0{}x}", name, value, digits);
    text += ++count % kRegistersPerLine == 0 ? "\n" : " ";
  }
  if (count % kRegistersPerLine != 0) {
    text.back() = '\n';
  }
  return text.empty() ? text : "\nRegisters\n" + text;
}

std::string thread_title(const ThreadBacktrace& thread) {
  std::string title = "Thread " + std::to_string(thread.tid);
  if (!thread.name.empty()) {
    title += " \"" + brief(thread.name, kLongestValue) + "\"";
  }
  return title;
}

std::string other_threads_text(const CrashReport& report, const std::string& directory) {
  std::string text;
  size_t shown = 0;
  for (const ThreadBacktrace& thread : report.backtrace.threads) {
    if (&thread == crashed_thread(report.backtrace)) {
      continue;
    }
    if (shown++ == kOtherThreads) {
      return text + fmt::format("\n{} more threads are in {}.json\n",
                                report.backtrace.threads.size() - 1 - kOtherThreads, report.id);
    }
    text += "\n" + thread_title(thread) + "\n" +
            stack_text(thread, report.backtrace, directory, kOtherRows);
  }
  return text;
}

// Those that change how a program runs, most of all; the rest is in the JSON file.
std::string environment_facts(const std::vector<EnvironmentVariable>& environment) {
  std::vector<std::string> words;
  for (const EnvironmentVariable& variable : environment) {
    if (!variable.name.starts_with("PATH") && variable.name != "HOME" && variable.name != "PWD") {
      words.push_back(variable.name + "=" + variable.value);
    }
  }
  return words.empty() ? "" : command_line(words, kLongestValue);
}

std::string report_text(const SanitizerFinding& finding) {
  if (finding.text.empty()) {
    return "\nThe report of " + finding.tool +
           " went to its standard error or log_path; none of it was left in memory.\n";
  }
  return "\nWhat " + finding.tool + " reported\n" + printable(finding.text, Lines::many) + "\n";
}

std::string witness(const ModuleVersion& version) {
  if (version.source == "pkg_config") {
    return "by " + version.detail.substr(version.detail.rfind('/') + 1);
  }
  if (version.source == "file_name") {
    return "by its name";
  }
  if (version.source == "symbol_versions") {
    return "by its symbols";
  }
  return "by " + version.source;
}

// "libc6 2.36-9"; "1.4.2 by foo.pc, v1.4.2-3-g1a2b3c4-dirty by git".
std::string version_text(const Module& module) {
  const Package& package = module.package;
  if (!package.name.empty()) {
    return package.name + (package.version.empty() ? "" : " " + package.version);
  }
  std::string text;
  for (const ModuleVersion& version : module.versions) {
    text += (text.empty() ? "" : ", ") + version.version + " " + witness(version);
  }
  return text;
}

std::string compilers_text(const Module& module) {
  std::string text;
  for (const std::string& compiler : module.compilers) {
    text += (text.empty() ? "compiled by " : " and ") + compiler;
  }
  return module.package.name.empty() ? text : "";
}

// What does not fit behind the path goes into lines of its own, below it.
std::string modules_text(const std::vector<Module>& modules) {
  if (modules.empty()) {
    return "";
  }
  std::string text = "\nModules: base, file, version, build-id\n";
  for (const Module& module : modules) {
    std::string line = fmt::format(" {:#014x} {}", module.base, brief(module.path, kLongestValue));
    line += module.deleted ? " (deleted)" : "";
    line += module.changed_on_disk ? " (changed on disk)" : "";
    const std::string build_id = module.build_id.empty() ? "no build-id" : module.build_id;
    for (const std::string& part : {version_text(module), build_id, compilers_text(module)}) {
      if (part.empty()) {
        continue;
      }
      const std::string shown = brief(part, kLongestValue);
      const size_t last_line = line.rfind('\n') + 1;  // 0 when there is none
      const bool fits =
          count_characters(line.substr(last_line)) + 2 + count_characters(shown) <= kColumns;
      line += (fits ? ", " : ",\n                ") + shown;
    }
    text += line + "\n";
  }
  return text;
}

std::string problems_text(const CrashReport& report) {
  std::string text;
  if (report.raw.lost_records > 0) {
    text += fmt::format(" {} lost in the kernel's ring buffer\n",
                        counted(report.raw.lost_records, "record was", "records were"));
  }
  for (const std::vector<std::string>* problems :
       {&report.raw.soft_errors, &report.backtrace.soft_errors}) {
    for (const std::string& problem : *problems) {
      text += " " + brief(problem, kLongestValue) + "\n";
    }
  }
  return text.empty() ? text : "\nWhat is missing here\n" + text;
}

// A cycle does not go on behind the frames that are not listed: nobody knows how many of them are the same.
std::vector<Fold> folds_of(const ThreadBacktrace& thread) {
  const std::span<const Frame> frames(thread.frames);
  std::vector<Fold> folds = folded(frames.first(thread.elided_after));
  for (Fold fold : folded(frames.subspan(thread.elided_after))) {
    fold.first += thread.elided_after;
    folds.push_back(fold);
  }
  return folds;
}

// "17 of 200, with --chaos=5"
std::string attempt_facts(int number, const Session& session) {
  if (!session.repetition || number == 0) {
    return "";
  }
  const Repetition& all = *session.repetition;
  return fmt::format("{} of {}", number, all.attempts.size()) +
         (all.seed ? fmt::format(", disturbed by --chaos={}", *all.seed) : "");
}

// Frames of the stack from the listed one `index` on.
uint64_t frames_from(const ThreadBacktrace& thread, size_t index) {
  return thread.frames.size() - index + (index < thread.elided_after ? thread.elided_frames : 0);
}

}  // namespace

std::string stack_text(const ThreadBacktrace& thread, const Backtrace& backtrace,
                       const std::string& directory, size_t rows) {
  const std::vector<StackLine> lines = stack_lines(thread);
  std::string text;
  size_t row = 0, line = 0;
  for (const Fold& fold : folds_of(thread)) {
    if (thread.elided_frames > 0 && fold.first == thread.elided_after) {
      text += fmt::format("      ... {} not listed\n",
                          counted(thread.elided_frames, "frame is", "frames are"));
    }
    const size_t end = fold.first + std::max<size_t>(fold.length, 1);
    while (line < lines.size() && lines[line].index < fold.first) {
      ++line;  // skipped by the fold before
    }
    for (; line < lines.size() && lines[line].index < end; ++line) {
      if (row++ == rows) {
        return text + fmt::format("      ... {} not shown here\n",
                                  counted(frames_from(thread, lines[line].index), "more frame is",
                                          "more frames are"));
      }
      text += stack_row(lines[line], backtrace, directory);
    }
    if (fold.skipped > 0) {
      text += fmt::format("      ... {} more of the same {}\n", fold.skipped,
                          counted(fold.length, "frame", "frames"));
    }
  }
  if (!thread.stop_reason.empty()) {
    text += "      (" + brief(thread.stop_reason, kLongestValue) + ")\n";
  }
  return text.empty() ? " no stack is known\n" : text;
}

std::string crash_text(const CrashReport& report, const Session& session) {
  const RawCrash& raw = report.raw;
  const std::string& directory = session.command.working_directory;
  std::string text = headline(report, directory) + "\n\n";
  fact(text, "Process",
       fmt::format("{}, pid {}{}, uid {}, {}", program_name(raw), raw.pid,
                   raw.parent_pid != 0 ? ", parent " + std::to_string(raw.parent_pid) : "", raw.uid,
                   raw.architecture == Architecture::i386 ? "i386" : "x86_64") +
           (raw.pid_namespace_depth > 0 ? fmt::format(", pid {} in its container", raw.inner_pid)
                                        : ""));
  fact(text, "Executable", raw.executable);
  fact(text, "Command", command_line(raw.arguments, kLongestValue));
  fact(text, "Attempt", attempt_facts(raw.attempt, session));
  fact(text, "Directory", raw.working_directory);
  fact(text, "Variables", environment_facts(raw.environment));
  fact(text, "Started by", started_by(raw.ancestors));
  fact(text, "Cgroup", raw.cgroup);
  fact(text, "Time", iso_time(raw.time));
  fact(text, "Signal", raw.signal.number != 0 ? signal_facts(raw) : "");
  fact(text, "Message", report.sanitizer ? "" : report.abort_message);
  fact(text, "Exit", exit_facts(raw));
  fact(text, "Relayed by", started_by(report.relayed_by));
  fact(text, "Signature", signature_facts(report.signature));

  if (const ThreadBacktrace* thread = crashed_thread(report.backtrace)) {
    text += "\n" + thread_title(*thread) +
            (raw.cause == Cause::timeout ? "\n" : ", which crashed\n") +
            stack_text(*thread, report.backtrace, directory, kCrashedRows) +
            source_section(report, directory) + instructions_section(report) +
            registers_text(*thread, raw.architecture) + memory_section(report);
  } else {
    text += "\nNo stack is known.\n";
  }
  if (report.sanitizer) {
    text += report_text(*report.sanitizer);
  }
  text += other_threads_text(report, directory) + modules_text(report.backtrace.modules) +
          problems_text(report);
  return text + "\nWritten by crashcrawler " CRASHCRAWLER_VERSION "; the same for programs is in " +
         report.id + ".json\n";
}

}  // namespace crashcrawler
