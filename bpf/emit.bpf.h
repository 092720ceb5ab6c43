/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Getting records out: the ring, what happens when it is full, and the small writers that both
 * hooks share. Every record that does not fit is counted for its process (struct crash) and for the
 * run (counters).
 */
#ifndef CRASHCRAWLER_BPF_EMIT_BPF_H
#define CRASHCRAWLER_BPF_EMIT_BPF_H

#include "tree.bpf.h"

/* A process that is dying of a core signal, from the signal to the exit of its last thread. Key:
 * tgid. */
struct crash {
  struct cc_key key;
  __u32 lost_records;
  __u32 threads;
  __u32 mappings;      /* regions walked */
  __u32 file_mappings; /* of them, those with a file */
  __u32 mappings_left_out;
  __u32 reserved2;
  __u32 progress;    /* enum progress */
  __u32 described;   /* PROCESS has been sent */
  __u32 environment; /* enum cc_environment */
  __u32 given_up;    /* PROCESS did not fit: nothing more of a crash that nobody could place */
  __u32 reserved;
};

/* Threads of one process exit on several CPUs at once. One of them walks the memory map; the record
 * that ends the train is sent by the last one, or by the walker when it is still at it then. */
enum progress { WALKING = 1, WALKED = 2, GROUP_DEAD = 4 };

struct {
  __uint(type, BPF_MAP_TYPE_RINGBUF);
  __uint(max_entries, 16 << 20); /* bytes; the loader sets the size asked for */
} ring SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 65536);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __type(key, __u32);
  __type(value, struct crash);
} crashes SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct cc_counters);
} counters SEC(".maps");

static __always_inline struct cc_counters* totals(void) {
  __u32 zero = 0;
  return bpf_map_lookup_elem(&counters, &zero);
}

#define COUNT(field)                          \
  do {                                        \
    struct cc_counters* total = totals();     \
    if (total) {                              \
      __sync_fetch_and_add(&total->field, 1); \
    }                                         \
  } while (0)

static __always_inline void count_lost(struct crash* crash) {
  __sync_fetch_and_add(&crash->lost_records, 1);
  COUNT(lost_records);
}

static __always_inline void fill_header(struct cc_record* header, const struct crash* crash,
                                        __u16 type, __u32 size) {
  header->type = type;
  header->version = CC_RECORD_VERSION;
  header->size = size;
  header->key = crash->key;
}

/* Points `record` to room in the ring, its header filled; counts and does `otherwise` when there is
 * none. */
#define RESERVE(record, crash, type_number, otherwise)                         \
  do {                                                                         \
    (record) = bpf_ringbuf_reserve(&ring, sizeof(*(record)), 0);               \
    if (!(record)) {                                                           \
      count_lost(crash);                                                       \
      otherwise;                                                               \
    }                                                                          \
    fill_header(&(record)->header, (crash), (type_number), sizeof(*(record))); \
  } while (0)

const volatile __u32 caller_pid_namespace = 0; /* inode */

/* The number of `pid`, a struct pid*, in the pid namespace with inode `inum`; 0 when it has none there. Eight levels are
 * looked at; the kernel allows 32 (MAX_PID_NS_LEVEL). Takes an address and is no static function, so that the verifier
 * looks at it once and not at every call. */
__noinline int number_in_namespace(__u64 address, __u32 inum) {
  struct pid* pid = (void*)address;
  __u32 level = BPF_CORE_READ(pid, level);
  struct upid* numbers = (void*)pid + bpf_core_field_offset(struct pid, numbers);
  int found = 0;

  for (__u32 i = 0; i < 8; i++) {
    if (i > level) {
      break;
    }
    if (BPF_CORE_READ(&numbers[i], ns, ns.inum) == inum) {
      found = BPF_CORE_READ(&numbers[i], nr);
    }
  }
  return found;
}

static __always_inline __u32 pid_in_namespace(struct pid* pid, __u32 inum) {
  return number_in_namespace((__u64)pid, inum);
}

const volatile __u32 caller_uid = 0;

/* What the caller could have read with ptrace(2) he may have: of a setuid program's memory and registers, nothing. */
static __always_inline bool belongs_to_caller(struct task_struct* task) {
  return caller_uid == 0 || is_allowed_outside(task) ||
         (BPF_CORE_READ(task, cred, uid.val) == caller_uid &&
          BPF_CORE_READ(task, cred, euid.val) == caller_uid &&
          BPF_CORE_READ(task, cred, suid.val) == caller_uid);
}

struct byte_walk {
  struct crash* crash;
  __u64 address; /* next page to read */
  __u64 end;     /* exclusive */
  __u32 tid;
  __u16 purpose;
  __u16 patience;   /* unreadable pages in a row before giving up */
  __u32 unreadable; /* in a row so far */
};

/* One page (or the part of it below `end`) into the ring. An unreadable page costs no ring space.
 */
static long copy_page(__u32 index, struct byte_walk* walk) {
  __u64 address = walk->address, page_end = (address | (CC_PAGE_SIZE - 1)) + 1;
  __u64 length, first;
  struct cc_bytes* bytes;

  if (address >= walk->end) {
    return 1;
  }
  if (page_end > walk->end) {
    page_end = walk->end;
  }
  walk->address = page_end;
  if (bpf_probe_read_user(&first, 1, (void*)address)) {
    return ++walk->unreadable >= walk->patience;
  }
  walk->unreadable = 0;
  RESERVE(bytes, walk->crash, CC_RECORD_BYTES, return 0);
  length = page_end - address;
  if (length > CC_PAGE_SIZE) { /* cannot be; said for the verifier */
    length = CC_PAGE_SIZE;
  }
  bytes->address = address;
  bytes->tid = walk->tid;
  bytes->purpose = walk->purpose;
  bytes->reserved = 0;
  bytes->length = length;
  bytes->reserved2 = 0;
  if (bpf_probe_read_user(bytes->bytes, length, (void*)address)) {
    bpf_ringbuf_discard(bytes, 0); /* unmapped by another thread since its first byte was read */
  } else {
    bpf_ringbuf_submit(bytes, 0);
  }
  return 0;
}

/* User memory [start, end) in page-sized pieces. A page that is not there is left out: mostly one
 * that nobody has touched yet. The unwinder says so when it needs it. Returns 0; looked at once by the verifier. */
__noinline int copy_pages(struct crash* crash, __u32 tid, __u64 start, __u64 end,
                          __u32 purpose_and_patience) {
  struct byte_walk walk = {.crash = crash,
                           .address = start,
                           .end = end,
                           .tid = tid,
                           .purpose = purpose_and_patience & 0xffff,
                           .patience = purpose_and_patience >> 16};

  if (crash && belongs_to_caller(bpf_get_current_task_btf())) {
    bpf_loop((end - start) / CC_PAGE_SIZE + 2, copy_page, &walk, 0);
  }
  return 0;
}

static __always_inline void copy_bytes(struct crash* crash, __u16 purpose, __u32 tid, __u64 start,
                                       __u64 end, __u16 patience) {
  copy_pages(crash, tid, start, end, purpose | (__u32)patience << 16);
}

#endif
