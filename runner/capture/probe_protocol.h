// What crashcrawler-run and its collector say to each other over a SOCK_STREAM pair. The collector is crashcrawler-probe,
// whose standard input this is, or, where BPF cannot be had, the tracer (runner/capture/tracer), which says a little more.
//
// Every message starts with {type, version, size}, size counting those eight bytes; that is also
// how the records of bpf/crash_event.h start, and the probe passes those on untouched between READY
// and END. Integers are native: both ends are one build on one machine, and a different version is
// refused.
//
//   run -> probe   BEGIN       watch this held process and everything it becomes
//                  KILL_TREE   end every process in the run's cgroup (cgroup.kill)
//                  LIST_TREE   which processes of the tree live? For where there is no cgroup to look into
//                  FINISH      the run is over: send what is left, then take everything down
//                  LOOK        the time is over: send a train of each process that lives (tracer only)
//                  TAKEN       the answer to CHECK
//                  CONTAINER   of those that begin during the run, this is the one that the command has started
//   probe -> run   READY       from here on nothing is missed. Text, in three lines: the path
//                              of the cgroup (empty: none could be made, the tree is followed from
//                              fork to fork), the pid of the probe, and what this machine does not
//                              allow (empty: nothing)
//                  TREE        the answer to LIST_TREE: pids as both ends number them, int32_t each
//                  FAILED      Text: what was missing, and what to do; the probe has undone
//                              everything and ends
//                  cc_record*  as they come
//                  LOOKED      all trains of a LOOK have been sent. Text, in lines: what is missing (tracer only)
//                  NOTE        Text: what this collector does to the run that its user should know (tracer only)
//                  CHECK       asks to be told when all before it has been taken and the files of its crashes are
//                              open; until then the process waits at its exit (tracer only)
//                  ROOT        the root directory of a mount namespace outside of the command's own tree, as a descriptor
//                              (SCM_RIGHTS, unix(7)) with its first byte; before the crashes that need it
//                  END         totals; every record of the run has been sent before it
//
// The probe ends, detaches, moves what still runs out of the cgroup and removes it when FINISH
// comes or the socket closes, whichever is first. It never kills but on KILL_TREE.
#pragma once

#include <cstdint>

#include "bpf/crash_event.h"

namespace crashcrawler {

constexpr uint16_t kProtocolVersion = 1;

enum class ProbeMessage : uint16_t {
  begin = 0x101,
  kill_tree = 0x102,
  finish = 0x103,
  list_tree = 0x104,
  look = 0x105,
  taken = 0x106,
  container = 0x107,
  ready = 0x201,
  failed = 0x202,
  end = 0x203,
  tree = 0x204,
  looked = 0x205,
  note = 0x206,
  check = 0x207,
  root = 0x208,
  unwatched = 0x209,
};

struct MessageHeader {
  uint16_t type;
  uint16_t version;
  uint32_t size;
};

struct BeginMessage {
  MessageHeader header;
  int32_t held_pid;  // as both ends see it: they share a pid namespace
  uint32_t crash_stack_bytes;
  uint32_t thread_stack_bytes;
  uint32_t ring_bytes;     // power of two, a multiple of the page size
  uint32_t delegate;       // 1: the cgroup becomes the property of the held process's user
  uint32_t only_attached;  // 1: no command, `held_pid` is the caller; it is not watched
  uint32_t
      watch_containers;  // 1: containers that an engine starts meanwhile are watched, see CONTAINER
  char attached_cgroup[4096];  // cgroup2 directory whose processes are watched, too; empty: none
};

// A BEGIN beyond these is refused.
constexpr uint32_t kMostStackBytes = 8 << 20;
constexpr uint32_t kMostRingBytes = 1 << 30;

struct PlainMessage {  // kill_tree, list_tree, finish, look, taken, check
  MessageHeader header;
};

struct ContainerMessage {
  MessageHeader header;
  char id[CC_CONTAINER_ID];
};

struct RootMessage {
  MessageHeader header;
  uint32_t mnt_ns;  // inode of the mount namespace
};

// READY, FAILED, LOOKED and NOTE: the header, then text up to header.size.
constexpr uint32_t kMaxTextBytes = 64 << 10;

// TREE: the header, then pids up to header.size. Of more, the first so many.
constexpr uint32_t kMostListed = 16 << 10;

struct EndMessage {
  MessageHeader header;
  cc_counters counters;
  uint64_t missed_runs;  // times the kernel skipped one of our programs because it was already
                         // running on that CPU
};

// No message is larger; a longer size is a broken stream.
constexpr uint32_t kMaxMessageBytes = 128 << 10;
static_assert(sizeof(cc_path) < kMaxMessageBytes && sizeof(cc_process) < kMaxMessageBytes);

}  // namespace crashcrawler
