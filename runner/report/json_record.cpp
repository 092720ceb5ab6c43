// One crash, field by field, under the names of docs/report.schema.json.
#include <sys/wait.h>

#include "runner/base/signal_names.h"
#include "runner/report/explanation.h"
#include "runner/report/headline.h"
#include "runner/report/json_fields.h"
#include "runner/report/json_report.h"
#include "runner/report/regions.h"
#include "runner/report/register_memory.h"
#include "runner/report/stack.h"
#include "runner/report/text.h"
#include "runner/report/words.h"

namespace crashcrawler {
namespace {

const char* trust_name(Trust trust) {
  switch (trust) {
    case Trust::context:
      return "context";
    case Trust::cfi:
      return "cfi";
    case Trust::frame_pointer:
      return "frame_pointer";
    case Trust::scan:
      return "scan";
  }
  return "scan";
}

std::string access_name(FaultAccess access) {
  switch (access) {
    case FaultAccess::read:
      return "read";
    case FaultAccess::write:
      return "write";
    case FaultAccess::read_and_write:
      return "read_write";
    case FaultAccess::unknown:
      break;
  }
  return "";
}

std::string hex_digits(std::string_view bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (const char byte : bytes) {
    text += kDigits[static_cast<unsigned char>(byte) >> 4];
    text += kDigits[static_cast<unsigned char>(byte) & 15];
  }
  return text;
}

Json exit_json(const RawCrash& raw) {
  Json exit = Json::object();
  if (raw.alive) {
    return exit;
  }
  if (raw.has_exit && WIFSIGNALED(raw.wait_status)) {
    exit["signal"] = WTERMSIG(raw.wait_status);
  } else if (raw.has_exit && WIFEXITED(raw.wait_status)) {
    exit["code"] = WEXITSTATUS(raw.wait_status);
  }
  return exit;
}

const char* kind_name(CrashKind kind) {
  switch (kind) {
    case CrashKind::signal:
      return "signal";
    case CrashKind::handled_signal:
      return "handled_signal";
    case CrashKind::killed:
      return "killed";
    case CrashKind::hang:
      return "hang";
    case CrashKind::oom:
      return "oom";
    case CrashKind::sanitizer:
      return "sanitizer";
  }
  return "signal";
}

Json signal_json(const RawCrash& raw, const RawSignal& signal) {
  Json json = Json::object();
  json["number"] = signal.number;
  json["name"] = signal_name(signal.number);
  json["code"] = signal.code;
  put(json, "code_name", signal_code_name(signal.number, signal.code));
  if (has_fault_address(signal.number, signal.code)) {
    json["fault_address"] = hex(signal.fault_address);
  }
  if (has_sender(signal.number, signal.code)) {
    json["sender_pid"] = signal.sender_pid;
    json["sender_uid"] = signal.sender_uid;
    if (signal.sender_pid == raw.pid) {
      put(json, "sender_command", raw.name);
    }
    for (const Ancestor& ancestor : raw.ancestors) {
      if (ancestor.pid == signal.sender_pid) {
        put(json, "sender_command", ancestor.name);
      }
    }
  }
  return json;
}

// What the collector saw of the sender says more than siginfo, and is there where siginfo is not.
void put_sender(Json& signal, const Sender& sender) {
  if (sender.kernel) {
    return;
  }
  signal["sender_pid"] = sender.pid;
  signal["sender_uid"] = sender.uid;
  put(signal, "sender_command", sender.name);
  put(signal, "sender_command_args", sender.arguments);
  signal["sender_in_tree"] = sender.in_tree;
}

Json processes_json(const std::vector<Ancestor>& processes) {
  Json all = Json::array();
  for (const Ancestor& process : processes) {
    Json json = Json::object();
    json["pid"] = process.pid;
    put(json, "name", process.name);
    put(json, "command_args", process.arguments);
    all.push_back(std::move(json));
  }
  return all;
}

Json crash_info_json(const CrashReport& report) {
  Json json = Json::object();
  json["kind"] = kind_name(report.kind);
  json["expected"] = !is_unexpected(report);
  put(json, "expected_reason", report.expected_reason);
  if (report.raw.signal.number != 0) {
    json["signal"] = signal_json(report.raw, report.raw.signal);
  }
  if (report.sanitizer) {
    put(json["sanitizer"], "tool", report.sanitizer->tool);
    put(json["sanitizer"], "kind", report.sanitizer->kind);
  }
  put(json, "abort_message", report.abort_message);
  if (report.kind == CrashKind::handled_signal) {
    json["first_signal"] = signal_json(report.raw, report.raw.signal);
  }
  if (report.followed_by) {
    json["followed_by"] = signal_json(report.raw, *report.followed_by);
  }
  // It is the sender of what the process died of in the end.
  const bool was_followed = report.followed_by || report.kind == CrashKind::handled_signal;
  const char* const last = was_followed ? "followed_by" : "signal";
  if (report.raw.sender && json.contains(last)) {
    put_sender(json[last], *report.raw.sender);
  }
  put(json, "relayed_by", processes_json(report.relayed_by));
  if (const ThreadBacktrace* thread = crashed_thread(report.backtrace)) {
    json["crashing_thread"] = thread - report.backtrace.threads.data();
  }
  put(json, "exit", exit_json(report.raw));
  put(json, "access", access_name(fault_access(report)));
  json["cause"] = cause_in_words(report);
  return json;
}

Json signature_json(const Signature& signature) {
  Json json = Json::object();
  put(json, "algorithm", signature.algorithm);
  put(json, "hash", signature.hash);
  put(json, "frames", signature.frames);
  return json;
}

Json test_json(const TestCase& test) {
  Json json = Json::object();
  put(json, "name", test.name);
  put(json, "suite", test.suite);
  put(json, "framework", test.framework);
  put(json, "runner", test.runner);
  put(json, "runner_name", test.runner_name);
  put(json, "file", test.file);
  put_positive(json, "line", test.line);
  Json candidates = Json::array();
  for (const TestCandidate& candidate : test.candidates) {
    candidates.push_back({{"name", candidate.name}, {"source", candidate.source}});
  }
  put(json, "candidates", std::move(candidates));
  return json;
}

Json environment_json(const std::vector<EnvironmentVariable>& environment) {
  Json json = Json::object();
  for (const EnvironmentVariable& variable : environment) {
    json[variable.name] = variable.value;
  }
  return json;
}

Json process_json(const CrashReport& report) {
  const RawCrash& raw = report.raw;
  Json executable = Json::object();
  put(executable, "path", raw.executable);
  for (const Module& module : report.backtrace.modules) {
    if (!raw.executable.empty() && module.path == raw.executable) {
      put(executable, "build_id", module.build_id);
    }
  }
  Json json = Json::object();
  json["pid"] = raw.pid;
  if (raw.parent_pid != 0) {
    json["parent_pid"] = raw.parent_pid;
  }
  put(json, "name", raw.name);
  put(json, "executable", std::move(executable));
  put(json, "command_args", raw.arguments);
  put(json, "working_directory", raw.working_directory);
  if (raw.root_directory != "/") {
    put(json, "root_directory", raw.root_directory);
  }
  json["uid"] = raw.uid;
  json["effective_uid"] = raw.effective_uid;
  json["gid"] = raw.gid;
  put_positive(json, "session", raw.session);
  if (raw.started != std::chrono::system_clock::time_point()) {
    json["start_time"] = iso_time(raw.started);
  }
  put(json, "cgroup", raw.cgroup);
  if (raw.pid_namespace_depth > 0) {
    json["container_pid"] = raw.inner_pid;
    json["pid_namespace_depth"] = raw.pid_namespace_depth;
  }
  put_positive(json, "mount_namespace", raw.mount_namespace);
  put(json, "environment", environment_json(raw.environment));
  if (!raw.environment.empty()) {
    json["environment_source"] = raw.environment_is_initial ? "initial" : "live";
  }
  put(json, "ancestors", processes_json(raw.ancestors));
  return json;
}

Json source_json(const SourceText& source) {
  Json json = Json::object();
  json["first_line"] = source.first_line;
  json["lines"] = Json::array();
  for (const std::string& line : source.lines) {
    json["lines"].push_back(printable(line, Lines::many));
  }
  if (source.newer_than_program) {
    json["newer_than_program"] = true;
  }
  return json;
}

Json disassembly_json(const Disassembly& disassembly) {
  Json all = Json::array();
  for (const Instruction& instruction : disassembly.instructions) {
    Json json = Json::object();
    json["address"] = hex(instruction.address);
    json["bytes"] = hex_digits(instruction.bytes);
    put(json, "text", instruction.text);
    if (all.size() == disassembly.current) {
      json["current"] = true;
    }
    all.push_back(std::move(json));
  }
  return all;
}

Json memory_json(const CrashReport& report) {
  Json all = Json::array();
  for (const PointedMemory& pointed : pointed_memory(report)) {
    Json json = Json::object();
    json["address"] = hex(pointed.memory->address);
    put(json, "region", region_in_words(report, pointed.memory->address));
    json["bytes"] = hex_digits(pointed.memory->bytes);
    json["registers"] = pointed.registers;
    all.push_back(std::move(json));
  }
  return all;
}

void put_location(Json& json, const SourceLocation& location) {
  put(json, "file", location.file);
  put_positive(json, "line", location.line);
  put_positive(json, "column", location.column);
  if (location.text) {
    json["source"] = source_json(*location.text);
  }
}

Json frame_json(const Frame& frame, size_t index, const std::vector<Module>& modules) {
  Json json = Json::object();
  json["frame"] = index;
  json["trust"] = trust_name(frame.trust);
  json["instruction_addr"] = hex(frame.instruction_addr);
  if (frame.module && *frame.module < modules.size()) {
    const Module& module = modules[*frame.module];
    put(json, "module", module.path);
    json["module_offset"] = hex(frame.module_offset);
    put(json, "build_id", module.build_id);
  }
  put(json, "function", frame.function);
  put(json, "raw_function", frame.raw_function);
  if (!frame.function.empty() || !frame.raw_function.empty()) {
    json["function_offset"] = hex(frame.function_offset);
  }
  put_location(json, frame.location);
  json["in_app"] = frame.in_app;
  if (frame.signal_frame) {
    json["signal_frame"] = true;
  }
  Json inlines = Json::array();
  for (const InlinedFunction& inlined : frame.inlines) {
    Json entry = Json::object();
    put(entry, "function", inlined.function);
    put(entry, "raw_function", inlined.raw_function);
    put_location(entry, inlined.location);
    inlines.push_back(std::move(entry));
  }
  put(json, "inlines", std::move(inlines));
  if (frame.disassembly) {
    put(json, "disassembly", disassembly_json(*frame.disassembly));
  }
  return json;
}

Json thread_json(const ThreadBacktrace& thread, const CrashReport& report) {
  Json registers = Json::object();
  for (const auto& [name, value] : register_values(thread.registers, report.raw.architecture)) {
    registers[name] = hex(value);
  }
  Json frames = Json::array();
  for (const Frame& frame : thread.frames) {
    frames.push_back(frame_json(frame, frames.size(), report.backtrace.modules));
  }
  Json json = Json::object();
  json["thread_id"] = thread.tid;
  put(json, "thread_name", thread.name);
  json["crashed"] = thread.crashed;
  put(json, "registers", std::move(registers));
  json["frame_count"] = thread.frames.size() + thread.elided_frames;
  put_positive(json, "elided_frames", static_cast<int64_t>(thread.elided_frames));
  put_positive(json, "elided_after", static_cast<int64_t>(thread.elided_after));
  put(json, "stop_reason", thread.stop_reason);
  json["frames"] = std::move(frames);
  return json;
}

Json versions_json(const std::vector<ModuleVersion>& versions) {
  Json all = Json::array();
  for (const ModuleVersion& version : versions) {
    Json json = Json::object();
    put(json, "version", version.version);
    put(json, "source", version.source);
    put(json, "detail", version.detail);
    all.push_back(std::move(json));
  }
  return all;
}

Json module_json(const Module& module) {
  Json package = Json::object();
  if (!module.package.name.empty()) {
    put(package, "type", module.package.type);
    put(package, "name", module.package.name);
    put(package, "version", module.package.version);
    put(package, "architecture", module.package.architecture);
    put(package, "source", module.package.source);
  }
  Json json = Json::object();
  put(json, "filename", module.path);
  json["base_addr"] = hex(module.base);
  json["end_addr"] = hex(module.end);
  put(json, "build_id", module.build_id);
  put(json, "soname", module.soname);
  if (!module.versions.empty()) {
    put(json, "version", module.versions.front().version);
    put(json, "version_source", module.versions.front().source);
    put(json, "versions", versions_json(module.versions));
  }
  put(json, "compilers", module.compilers);
  json["deleted"] = module.deleted;
  json["changed_on_disk"] = module.changed_on_disk;
  put(json, "package", std::move(package));
  return json;
}

std::vector<std::string> soft_errors_of(const CrashReport& report) {
  std::vector<std::string> all = report.raw.soft_errors;
  all.insert(all.end(), report.backtrace.soft_errors.begin(), report.backtrace.soft_errors.end());
  all.insert(all.end(), report.soft_errors.begin(), report.soft_errors.end());
  return all;
}

Json artifacts_json(const std::vector<Artifact>& artifacts) {
  Json all = Json::array();
  for (const Artifact& artifact : artifacts) {
    Json json = Json::object();
    put(json, "type", artifact.type);
    put(json, "path", artifact.path);
    json["size"] = artifact.size;
    put(json, "sha256", artifact.sha256);
    all.push_back(std::move(json));
  }
  return all;
}

bool is_complete(const CrashReport& report) {
  return report.raw.lost_records == 0 && report.raw.has_exit && !report.raw.mappings.empty() &&
         !report.raw.no_stack && !report.backtrace.threads.empty();
}

}  // namespace

std::string crash_json(const CrashReport& report, const Session& session) {
  Json json = Json::object();
  json["schema_version"] = kSchemaVersion;
  json["id"] = report.id;
  json["timestamp"] = iso_time(report.raw.time);
  put_positive(json, "attempt", report.raw.attempt);
  if (const Attempt* attempt =
          session.repetition ? find_attempt(*session.repetition, report.raw.attempt) : nullptr) {
    put(json, "chaos", chaos_json(*session.repetition, *attempt));
  }
  json["status"] = is_complete(report) ? "OK" : "TRUNCATED";
  json["collector"] = collector_json(session);
  json["crash_info"] = crash_info_json(report);
  put(json, "signature", signature_json(report.signature));
  put(json, "test", test_json(report.test));
  put(json, "only", report.alone.name);
  json["process"] = process_json(report);
  json["threads"] = Json::array();
  for (const ThreadBacktrace& thread : report.backtrace.threads) {
    json["threads"].push_back(thread_json(thread, report));
  }
  put(json, "memory", memory_json(report));
  json["modules"] = Json::array();
  for (const Module& module : report.backtrace.modules) {
    json["modules"].push_back(module_json(module));
  }
  put(json, "system_info", system_info_json(session.system));
  put(json, "artifacts", artifacts_json(report.artifacts));
  put_positive(json, "lost_records", static_cast<int64_t>(report.raw.lost_records));
  json["soft_errors"] = soft_errors_of(report);
  return text_of(json);
}

}  // namespace crashcrawler
