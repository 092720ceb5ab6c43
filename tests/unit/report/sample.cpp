#include "tests/unit/report/sample.h"

#include <csignal>

namespace crashcrawler {
namespace {

// 2025-03-01T12:00:00.125Z
const std::chrono::system_clock::time_point kStart{std::chrono::milliseconds(1740830400125)};

Module module(const std::string& path, uint64_t base) {
  Module made;
  made.path = path;
  made.base = base;
  made.end = base + 0x10000;
  made.load_bias = base;
  made.build_id = "d1704d25fbbb72fa95d517b883131828c0883fe9";
  return made;
}

CrashReport crash_of(const std::string& id, const std::string& program) {
  CrashReport report;
  report.id = id;
  report.raw.pid = 4711;
  report.raw.crashing_tid = 4711;
  report.raw.time = kStart + std::chrono::seconds(1);
  report.raw.has_exit = true;
  report.raw.name = program;
  report.raw.executable = std::string(kDirectory) + "/build/" + program;
  report.raw.arguments = {"./" + program, "--case", "two words"};
  report.raw.working_directory = std::string(kDirectory) + "/build";
  report.raw.cgroup = "/crashcrawler/1";
  report.raw.uid = 1000;
  report.raw.gid = 100;
  report.raw.parent_pid = 4710;
  report.raw.ancestors = {{4710, "sh", {"sh", "-c", "./" + program}}, {4700, "ctest", {"ctest"}}};
  report.raw.mappings.resize(1);
  report.raw.mappings[0] = {0x555500000000, 0x555500010000};
  report.raw.mappings[0].readable = report.raw.mappings[0].executable = true;
  report.raw.mappings[0].path = report.raw.executable;
  report.backtrace.modules = {module(report.raw.executable, 0x555500000000),
                              module("/usr/lib/x86_64-linux-gnu/libc.so.6", 0x7f0000000000),
                              module("[vdso]", 0x7ffff7fc1000)};
  report.backtrace.modules[1].soname = "libc.so.6";
  report.backtrace.modules[1].package = {"deb", "libc6", "2.36-9+deb12u10", "amd64",
                                         "/var/lib/dpkg/status"};
  report.backtrace.modules[2].build_id.clear();
  ThreadBacktrace thread;
  thread.tid = 4711;
  thread.name = program;
  thread.crashed = true;
  thread.registers.rip = 0x555500001139;
  thread.registers.rsp = 0x7ffe00001000;
  thread.stop_reason = "end of stack";
  report.backtrace.threads = {thread};
  return report;
}

Signature signature(const std::string& hash, const std::vector<std::string>& frames) {
  return {"crashcrawler-1", hash, frames};
}

void add_start(std::vector<Frame>& frames) {
  Frame start = frame("__libc_start_call_main", "", 0, 1);
  start.in_app = false;
  frames.push_back(start);
}

}  // namespace

Frame frame(const std::string& function, const std::string& file, int line, size_t module) {
  Frame made;
  made.trust = Trust::cfi;
  made.instruction_addr = 0x555500001000 + static_cast<uint64_t>(line);
  made.module = module;
  made.module_offset = 0x1000 + static_cast<uint64_t>(line);
  made.function = function;
  made.raw_function = function.empty() ? "" : "_raw_" + function;
  made.function_offset = 4;
  if (!file.empty()) {
    made.location = {std::string(kDirectory) + "/" + file, line, 7};
  }
  made.in_app = module == 0;
  return made;
}

Session quiet_session() {
  Session session;
  session.command = {{"ctest", "-j4"}, kDirectory};
  session.outcome.started = kStart;
  session.outcome.duration = std::chrono::milliseconds(5250);
  session.outcome.exit_code = 8;
  session.backend = "bpf";
  session.system = {"Linux", "6.1.0", "x86_64", "Debian GNU/Linux 12 (bookworm)", 2};
  return session;
}

CrashReport null_write(const std::string& id) {
  CrashReport report = crash_of(id, "null_write");
  report.raw.signal = {SIGSEGV, SEGV_MAPERR, 0, 0, 0, 0};
  report.raw.wait_status = SIGSEGV | 0x80;
  std::vector<Frame>& frames = report.backtrace.threads[0].frames;
  frames.push_back(frame("write_null(int*)", "src/null_write.cpp", 12));
  frames[0].trust = Trust::context;
  frames[0].inlines = {{"store", "store", {std::string(kDirectory) + "/src/store.h", 3, 5}},
                       {"std::vector<int>::at(unsigned long)",
                        "_ZNSt6vectorIiE2atEm",
                        {"/usr/include/c++/12/bits/stl_vector.h", 1150, 2}}};
  frames.push_back(frame("middle()", "src/null_write.cpp", 20));
  frames.push_back(frame("main", "src/null_write.cpp", 30));
  add_start(frames);
  frames.push_back(frame("", "", 0, 1));
  Frame nowhere;
  nowhere.instruction_addr = 0xdead0000;
  nowhere.trust = Trust::scan;
  frames.push_back(nowhere);

  ThreadBacktrace other;
  other.tid = 4712;
  other.name = "worker";
  other.registers.rip = 0x7f0000001234;
  other.registers.rsp = 0x7f0000f00000;
  other.frames = {frame("futex_wait", "", 0, 1), frame("start_thread", "", 0, 1)};
  other.elided_frames = 12;
  other.elided_after = 1;
  other.stop_reason = "no memory at 0x7f0000f04000";
  report.backtrace.threads.push_back(other);
  report.signature = signature("00000000000000aa", {"store", "std::vector::at", "write_null"});
  return report;
}

CrashReport stack_overflow(const std::string& id) {
  CrashReport report = crash_of(id, "deep");
  report.raw.signal = {SIGSEGV, SEGV_MAPERR, 0, 0x7ffe00000ff8, 0, 0};
  report.raw.wait_status = SIGSEGV | 0x80;
  Mapping stack;
  stack.start = 0x7ffe00001000;
  stack.end = stack.start + (8u << 20);
  stack.readable = stack.writable = true;
  stack.path = "[stack]";
  report.raw.mappings.push_back(stack);
  std::vector<Frame>& frames = report.backtrace.threads[0].frames;
  frames.push_back(frame("recurse(int)", "src/deep.cpp", 5));
  frames.insert(frames.end(), 1000, frame("recurse(int)", "src/deep.cpp", 7));
  frames.push_back(frame("main", "src/deep.cpp", 11));
  report.signature = signature("00000000000000bb", {"recurse"});
  return report;
}

CrashReport failed_check(const std::string& id) {
  CrashReport report = crash_of(id, "check");
  report.raw.signal = {SIGABRT, SI_TKILL, 0, 0, report.raw.pid, 1000};
  report.raw.wait_status = SIGABRT | 0x80;
  std::vector<Frame>& frames = report.backtrace.threads[0].frames;
  frames = {frame("raise", "", 1, 1), frame("abort", "", 2, 1),
            frame("check(bool)", "src/check.cpp", 8), frame("main", "src/check.cpp", 21)};
  add_start(frames);
  report.signature = signature("00000000000000cc", {"check", "main"});
  return report;
}

Session busy_session() {
  Session session = quiet_session();
  session.inherited = {{{"LANG", "C"}}, {{"stack", 8 << 20, std::nullopt}, {"cpu", {}, {}}}, false};
  session.system.container_image = "registry.example/ci:12";
  session.crashes = {null_write("0001-null_write-SIGSEGV"), stack_overflow(), failed_check(),
                     null_write("0004-null_write-SIGSEGV")};
  session.crashes[2].raw.soft_errors = {"the command line could not be read"};
  session.crashes[2].raw.lost_records = 3;
  session.crashes[2].alone = {"Check.Fails", {"ctest", "-R", "^Check.Fails$"}};
  session.crashes[2].backtrace.soft_errors = {"libfoo.so has no .eh_frame"};
  session.crashes.push_back(hostile_crash("0005-hostile-SIGSEGV"));
  session.health = {
      true, 2, 3, 1, {"no BPF iterator: the memory map of single threads is missing"}};
  session.outcome.leftovers = {{4800, "sleep", {"sleep", "1000"}}, {4801, "daemon", {}}};
  session.soft_errors = {"a file of a crash could not be opened"};
  return session;
}

CrashReport hostile_crash(const std::string& id) {
  const std::string bad =
      "\x1b[31mred\x1b]0;title\a]]>&<\"'\x01\x7f\xff\xfe\xc3\x28\n\r\t</error>\xe2\x80\xae";
  const std::string huge(1u << 20, 'A');
  CrashReport report = crash_of(id, "x" + bad);
  report.raw.signal = {SIGSEGV, SI_USER, 0, 0, 4700, 0};
  report.raw.wait_status = SIGSEGV | 0x80;
  report.raw.arguments = {bad, huge, "", std::string("nul\0byte", 8)};
  report.raw.working_directory = "/" + bad;
  report.raw.ancestors[1].name = bad;
  report.raw.soft_errors = {bad + huge};
  std::vector<Frame>& frames = report.backtrace.threads[0].frames;
  frames = {frame(huge, bad + huge, 1), frame(bad, bad, 2), frame("", "", 3, 77)};
  frames[1].inlines = {{huge, bad, {bad, -1, -1}}};
  report.backtrace.modules[0].path = "/" + bad;
  report.backtrace.threads[0].name = bad;
  report.backtrace.threads[0].stop_reason = bad;
  report.signature = signature("00000000000000dd", {huge, bad});
  return report;
}

}  // namespace crashcrawler
