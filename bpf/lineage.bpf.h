/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Who started whom in the tree. When a process dies its parents may be long gone and it belongs to init, so
 * the chain is written down as it grows: at fork the parent, at exec the command line. It begins with the command
 * itself; what is above the wrapper is nobody's business. Both tables forget what was not used for longest.
 */
#ifndef CRASHCRAWLER_BPF_LINEAGE_BPF_H
#define CRASHCRAWLER_BPF_LINEAGE_BPF_H

#include "emit.bpf.h"

/* The processes of the tree that live, kept where no cgroup can say it. Value: the pid for the caller, or 0. */
const volatile bool keep_list = false;

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 65536);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __type(key, __u32); /* tgid */
  __type(value, __u32);
} members SEC(".maps");

static __always_inline void enter_list(struct task_struct* child) {
  __u32 tgid = child->tgid;
  __u32 ns_tgid;

  if (keep_list) {
    ns_tgid = pid_in_namespace(BPF_CORE_READ(child, thread_pid), caller_pid_namespace);
    if (bpf_map_update_elem(&members, &tgid, &ns_tgid, BPF_ANY)) {
      COUNT(unlisted);
    }
  }
}

static __always_inline void leave_list(struct task_struct* task) {
  __u32 tgid = task->tgid;

  if (keep_list && BPF_CORE_READ(task, signal, live.counter) == 0) {
    bpf_map_delete_elem(&members, &tgid);
  }
}

struct lineage {
  struct cc_key self;
  struct cc_key parent;
  struct cc_key
      program; /* the process whose exec gave this one its command line: itself or an ancestor */
  __u32 ns_tgid;
  __u32 reserved;
  char comm[CC_COMM_SIZE];
};

struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, 16384);
  __type(key, __u32); /* tgid */
  __type(value, struct lineage);
} lineages SEC(".maps");

struct command_line {
  __u32 length;
  __u32 reserved;
  char bytes[CC_COMMAND_SIZE];
};

struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, 4096);
  __type(key, struct cc_key);
  __type(value, struct command_line);
} command_lines SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct command_line);
} command_line_scratch SEC(".maps");

static __always_inline struct cc_key key_of(struct task_struct* task) {
  struct cc_key key = {};

  key.tgid = BPF_CORE_READ(task, tgid);
  key.start_ns = BPF_CORE_READ(task, group_leader, start_boottime);
  return key;
}

static __always_inline void remember_fork(struct task_struct* parent, struct task_struct* child) {
  struct lineage fresh = {};
  struct lineage* above;
  __u32 parent_tgid = BPF_CORE_READ(parent, tgid);

  fresh.self = key_of(child);
  fresh.parent = key_of(parent);
  fresh.ns_tgid = pid_in_namespace(BPF_CORE_READ(child, thread_pid), caller_pid_namespace);
  BPF_CORE_READ_INTO(&fresh.comm, child, comm);
  above = bpf_map_lookup_elem(&lineages, &parent_tgid);
  if (above) {
    fresh.program = above->program;
  }
  bpf_map_update_elem(&lineages, &fresh.self.tgid, &fresh, BPF_ANY);
}

/* At exec the argument block has just been written: its first bytes are there to be read. */
static __always_inline void remember_exec(struct task_struct* task) {
  struct lineage fresh = {};
  struct lineage* known;
  struct command_line* line;
  __u64 arg_start = BPF_CORE_READ(task, mm, arg_start);
  __s64 length = BPF_CORE_READ(task, mm, arg_end) - arg_start;
  __u32 zero = 0;

  fresh.self = key_of(task);
  fresh.program = fresh.self;
  known = bpf_map_lookup_elem(&lineages, &fresh.self.tgid);
  if (known) {
    fresh.parent = known->parent;
    fresh.ns_tgid = known->ns_tgid;
  } else {
    fresh.ns_tgid = pid_in_namespace(BPF_CORE_READ(task, thread_pid), caller_pid_namespace);
  }
  BPF_CORE_READ_INTO(&fresh.comm, task, comm);
  bpf_map_update_elem(&lineages, &fresh.self.tgid, &fresh, BPF_ANY);

  line = bpf_map_lookup_elem(&command_line_scratch, &zero);
  if (!line) {
    return;
  }
  if (length < 0) {
    length = 0;
  }
  if (length > CC_COMMAND_SIZE) {
    length = CC_COMMAND_SIZE;
  }
  line->reserved = 0;
  line->length = bpf_probe_read_user(line->bytes, length, (void*)arg_start) ? 0 : length;
  bpf_map_update_elem(&command_lines, &fresh.self, line, BPF_ANY);
}

/* The command line of a process of the tree; 0 when it is not known. Returns its bytes. */
static __always_inline __u32 copy_command(char* to, __u32 tgid) {
  struct lineage* process = bpf_map_lookup_elem(&lineages, &tgid);
  struct command_line* line = NULL;

  if (process) {
    line = bpf_map_lookup_elem(&command_lines, &process->program);
  }
  if (!line) {
    return 0;
  }
  __builtin_memcpy(to, line->bytes, CC_COMMAND_SIZE);
  return line->length;
}

struct lineage_walk {
  struct crash* crash;
  struct cc_key next;
};

static long lineage_step(__u32 index, struct lineage_walk* walk) {
  struct lineage* ancestor = bpf_map_lookup_elem(&lineages, &walk->next.tgid);
  struct cc_parent* record;

  if (!ancestor || ancestor->self.start_ns != walk->next.start_ns) {
    return 1;
  }
  RESERVE(record, walk->crash, CC_RECORD_PARENT, return 1);
  record->parent = ancestor->self;
  record->ns_tgid = ancestor->ns_tgid;
  record->distance = index + 1;
  __builtin_memcpy(record->comm, ancestor->comm, sizeof(record->comm));
  record->reserved = 0;
  record->command_length = copy_command(record->command, ancestor->self.tgid);
  bpf_ringbuf_submit(record, 0);
  walk->next = ancestor->parent;
  return 0;
}

static __always_inline void emit_lineage(struct crash* crash) {
  __u32 tgid = crash->key.tgid;
  struct lineage* own = bpf_map_lookup_elem(&lineages, &tgid);
  struct lineage_walk walk = {.crash = crash};

  if (own && own->self.start_ns == crash->key.start_ns) {
    walk.next = own->parent;
    bpf_loop(CC_PARENTS, lineage_step, &walk, 0);
  }
}

#endif
