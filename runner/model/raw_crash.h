// One captured death, exactly as the collector saw it: no file has been opened, no name looked up
// yet. All addresses are runtime addresses of the dead process unless a name says otherwise.
#pragma once

#include <sys/types.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace crashcrawler {

// User-mode general registers. For a 32-bit process the upper halves are zero and only the i386
// ones mean anything.
struct Registers {
  uint64_t r15 = 0, r14 = 0, r13 = 0, r12 = 0, rbp = 0, rbx = 0, r11 = 0, r10 = 0, r9 = 0, r8 = 0;
  uint64_t rax = 0, rcx = 0, rdx = 0, rsi = 0, rdi = 0;
  uint64_t orig_rax = 0, rip = 0, cs = 0, rflags = 0, rsp = 0, ss = 0;
  uint64_t fs_base = 0, gs_base = 0;
};

enum class Architecture { x86_64, i386 };

// A piece of the dead process's memory.
struct MemoryRange {
  uint64_t address = 0;
  std::string bytes;

  uint64_t end() const { return address + bytes.size(); }
};

struct RawThread {
  pid_t tid = 0;
  std::string name;
  bool crashed = false;
  bool at_fault =
      false;  // no thread: the crashed one once more, at a fault whose handler left by siglongjmp(3)
  Registers registers;
  std::vector<MemoryRange> stack;  // ascending, not overlapping, pieces that touch are joined
};

// Where a file lies in its file system, wherever that is mounted.
struct PathInFileSystem {
  uint32_t device_major = 0, device_minor = 0;  // as proc_pid_mountinfo(5) has it
  std::string path;
};

struct Mapping {
  uint64_t start = 0, end = 0;  // end exclusive
  uint64_t file_offset = 0;     // of `start`, in bytes
  bool readable = false, writable = false, executable = false, shared = false;
  uint64_t inode = 0;  // 0: no file
  uint32_t device_major = 0, device_minor = 0;
  std::string path;         // absolute as the kernel's mount tree has it; empty: no file
  bool deleted = false;     // the file had no name any more when the process died
  int64_t modified_ns = 0;  // st_mtime of the file when it was opened for us; 0: it was not
  std::vector<PathInFileSystem>
      in_file_systems;  // only of a process in another mount namespace; on overlayfs also in the layer below
};

struct RawSignal {
  int number = 0;
  int code = 0;                // si_code
  int error = 0;               // si_errno
  uint64_t fault_address = 0;  // si_addr; see has_fault_address()
  pid_t sender_pid = 0;        // si_pid; see has_sender()
  uid_t sender_uid = 0;
};

struct EnvironmentVariable {
  std::string name, value;
};

struct Ancestor {
  pid_t pid = 0;
  std::string name;                    // comm
  std::vector<std::string> arguments;  // the beginning of its command line; empty: not known
};

// Where the handler of a signal has gone. One that still runs has its signal frame on the stack.
enum class HandlerState {
  unknown,       // this kernel does not tell
  returned,      // by rt_sigreturn(2)
  not_returned,  // it still runs, or has left by siglongjmp(3)
};

// A core signal of the crashing thread that had gone to a handler before.
struct FirstSignal {
  RawSignal signal;
  uint64_t count = 0;  // such signals of the thread so far; this is the newest
  bool place_only =
      false;  // of the registers rip and rsp alone are known, and of the signal its number
  HandlerState handler = HandlerState::unknown;
  Registers registers;
};

// Who generated the signal that ended the process.
struct Sender {
  pid_t pid = 0;  // 0: the kernel, or a process outside of our pid namespace
  bool kernel = false;
  bool in_tree = false;  // it belonged to the run
  bool namespace_end =
      false;  // the kernel, because the first process of the pid namespace had ended
  uid_t uid = 0;
  std::string name;                    // comm
  std::vector<std::string> arguments;  // empty: not known
};

// Why the collector sent a death; whether it was a crash is decided later.
enum class Cause {
  core_signal,  // the default action of a core signal (signal(7))
  killed,       // of any other fatal signal
  exit,  // exited non-zero by itself, over a fault that had gone to a handler, or not through the C library
  timeout,  // did not die: it was looked at when the time of the run was over
};

struct RawCrash {
  Cause cause = Cause::core_signal;
  pid_t pid = 0;  // as the caller's pid namespace numbers it, else the machine's
  pid_t crashing_tid = 0;
  uint64_t start_ns = 0;                       // CLOCK_BOOTTIME, the process's start
  std::chrono::system_clock::time_point time;  // of the fatal signal
  RawSignal signal;
  int wait_status = 0;    // as wait(2) reports it; see has_exit
  bool has_exit = false;  // the EXIT record arrived
  bool alive = false;     // it was looked at, it did not die: there is no wait_status

  std::string name;        // comm of the leader
  std::string executable;  // path
  std::vector<std::string> arguments;
  std::string working_directory;
  std::string
      root_directory;  // "/" without chroot(2); paths are seen from our root, or, in another mount namespace, from its own
  std::string cgroup;  // path in the cgroup2 hierarchy
  std::vector<EnvironmentVariable>
      environment;                      // those of an allow-list of names, as they were at death
  bool environment_is_initial = false;  // as exec left them: later changes could not be seen
  uint64_t environment_start = 0, environment_end = 0;  // of the block that exec left on the stack
  uid_t uid = 0, effective_uid = 0;
  gid_t gid = 0;
  pid_t session = 0;             // pid of the session leader; 0: outside our pid namespace
  pid_t inner_pid = 0;           // as the process itself knows it
  int pid_namespace_depth = 0;   // 0: the initial one
  uint32_t mount_namespace = 0;  // inode number of /proc/PID/ns/mnt
  std::chrono::system_clock::time_point started;
  Architecture architecture = Architecture::x86_64;
  pid_t parent_pid = 0;             // at death: init for an orphan; 0: outside our pid namespace
  std::vector<Ancestor> ancestors;  // who forked whom, nearest first, up to the run's command
  std::vector<std::pair<uint64_t, uint64_t>> auxv;  // AT_* and value (getauxval(3))
  uint64_t heap_start = 0, heap_end = 0, stack_start = 0;

  std::vector<RawThread> threads;  // the crashing one first
  std::vector<Mapping> mappings;   // ascending; empty when they could not be walked

  std::vector<MemoryRange>
      memory;  // what the registers of the crashing thread point to; ascending, apart from the stacks

  std::string abort_message;  // what the C library wrote down before it aborted
  uint64_t exception =
      0;  // address of the struct _Unwind_Exception found on the stack of an abort; 0: none
  std::string report_text;  // a sanitizer's report, as far as it was found in memory; may be cut
  std::optional<FirstSignal> first_signal;
  std::optional<Sender> sender;
  bool no_stack = false;    // of the crashing thread: it could not be read
  bool oom_killed = false;  // chosen by the kernel as the victim of memory shortage

  int attempt =
      0;  // of a command that is run many times; 0: it is not, or which of them is not known
  std::string
      place;  // executable, signal and instruction: the same for crashes that are probably the same; may be empty
  bool abridged = false;  // one of too many at its place: stacks, memory and mappings were dropped

  uint64_t lost_records = 0;
  std::vector<std::string> soft_errors;  // what is missing, in words
};

}  // namespace crashcrawler
