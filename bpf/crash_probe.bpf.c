// SPDX-License-Identifier: MIT OR GPL-2.0-only
//
// What the kernel lets us see of a death, collected and sent; deciding what it means is user
// space's work.
//
// Two moments matter. At signal_deliver the dying thread still has its registers and its user
// memory, before any handler runs; every other thread passes the same tracepoint with SIGKILL when
// the group is brought down (get_signal(), the SIGNAL_GROUP_EXIT path), so all stacks come for
// free. At sched_process_exit the verdict is known, and, since Linux 6.16, the memory map is still
// there: commit "exit: move and extend sched_process_exit() tracepoint" put it before exit_mm(). At
// signal_deliver itself the map cannot be walked: the sighand lock is held with interrupts off and
// bpf_iter_task_vma_new() says -EBUSY.
//
// Which processes: those below our cgroup, and those descended from them wherever they have moved
// since (the mark is handed on at fork). Everything else on the machine pays one cgroup comparison
// and one storage look-up, at fatal signals, forks and exits only.
#include "mappings.bpf.h"
#include "snapshot.bpf.h"

#include <bpf/bpf_tracing.h>

char LICENSE[] SEC("license") = "Dual MIT/GPL";

const volatile __u32 crash_stack_bytes = 64 << 10;
const volatile __u32 thread_stack_bytes = 16 << 10;

enum { SIG_DFL_HANDLER = 0, SIGNAL_KILL = 9, STACK_PATIENCE = 16, OTHER_STACK_PATIENCE = 2 };

// signal(7): default action "Core".
static __always_inline bool is_core_signal(int signal) {
  const __u64 core =
      1 << 3 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 7 | 1 << 8 | 1 << 11 | 1 << 24 | 1 << 25 | 1u << 31;
  return signal > 0 && signal < 32 && (core >> signal & 1);
}

static __always_inline struct crash* find_crash(struct task_struct* task) {
  __u32 tgid = task->tgid;
  return bpf_map_lookup_elem(&crashes, &tgid);
}

static __always_inline struct crash* begin_crash(struct task_struct* task) {
  struct crash fresh = {};
  __u32 tgid = task->tgid;

  fresh.key = key_of(task);
  if (bpf_map_update_elem(&crashes, &tgid, &fresh, BPF_NOEXIST)) {
    return NULL;
  }
  return bpf_map_lookup_elem(&crashes, &tgid);
}

SEC("tp_btf/signal_deliver")
int BPF_PROG(on_signal_deliver, int signal, void* info, struct k_sigaction* action) {
  struct task_struct* task = bpf_get_current_task_btf();
  struct crash* crash;
  __u32 tgid = task->tgid;

  if ((signal != SIGNAL_KILL && !is_core_signal(signal)) || !in_tree(task)) {
    return 0;
  }
  if (BPF_CORE_READ(action, sa.sa_handler) != (void*)SIG_DFL_HANDLER) {
    return 0;
  }
  crash = find_crash(task);
  if (crash) {
    emit_thread(crash, task, 0, thread_stack_bytes, OTHER_STACK_PATIENCE);
    return 0;
  }
  if (signal == SIGNAL_KILL) {
    return 0;
  }
  COUNT(crashes);
  crash = begin_crash(task);
  if (!crash) {
    COUNT(untracked);
    COUNT(lost_crashes);
    return 0;
  }
  if (!emit_process(crash, task, signal, info)) {
    bpf_map_delete_elem(&crashes, &tgid);  // nothing more of a crash that nobody could place
    COUNT(lost_crashes);
    return 0;
  }
  emit_surroundings(crash, task);
  emit_thread(crash, task, CC_THREAD_CRASHED, crash_stack_bytes, STACK_PATIENCE);
  return 0;
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(on_fork, struct task_struct* parent, struct task_struct* child) {
  if (in_tree(parent)) {
    bpf_task_storage_get(&descendants, child, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
    if (child->pid == child->tgid) {
      remember_fork(parent, child);
    }
  }
  return 0;
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(on_exec, struct task_struct* task) {
  if (in_tree(task)) {
    remember_exec(task);
  }
  return 0;
}

static __always_inline void emit_exit(struct crash* crash, struct task_struct* task) {
  struct cc_exit* record;
  __u32 tgid = crash->key.tgid;

  RESERVE(record, crash, CC_RECORD_EXIT, goto forget);
  record->time_ns = bpf_ktime_get_boot_ns();
  record->exit_code = BPF_CORE_READ(task, signal, group_exit_code);
  record->lost_records = crash->lost_records;
  record->threads = crash->threads;
  record->mappings = crash->mappings;
  record->mappings_state = crash->progress & WALKED ? CC_MAPPINGS_WALKED : CC_MAPPINGS_NONE;
  record->reserved = 0;
  bpf_ringbuf_submit(record, 0);
forget:
  bpf_map_delete_elem(&crashes, &tgid);
}

static __always_inline struct crash* find_crash_in_tree(struct task_struct* task) {
  return in_tree(task) ? find_crash(task) : NULL;
}

// One thread walks, the first that comes; when the last thread has been here meanwhile it left the
// end to this one.
static __always_inline void walk_once(struct crash* crash, struct task_struct* task) {
  __u32 result, before;

  if (__sync_val_compare_and_swap(&crash->progress, 0, WALKING) != 0) {
    return;
  }
  result = walk_mappings(crash, task) ? WALKED - WALKING : -WALKING;
  before = __sync_fetch_and_add(&crash->progress, result);
  if (before & GROUP_DEAD) {
    emit_exit(crash, task);
  }
}

static __always_inline void end_when_last(struct crash* crash, struct task_struct* task) {
  __u32 before;

  if (BPF_CORE_READ(task, signal, live.counter) != 0) {  // do_exit() has counted us out just before
    return;
  }
  before = __sync_fetch_and_or(&crash->progress, GROUP_DEAD);
  if (!(before & (GROUP_DEAD | WALKING))) {
    emit_exit(crash, task);
  }
}

// Of the three programs below the loader takes the first alone, or the other two (collector.cpp).

// The map is still there: Linux 6.16 and newer.
SEC("?tp_btf/sched_process_exit")
int BPF_PROG(on_exit_with_map, struct task_struct* task) {
  struct crash* crash = find_crash_in_tree(task);

  if (crash) {
    walk_once(crash, task);
    end_when_last(crash, task);
  }
  return 0;
}

SEC("?tp_btf/sched_process_exit")
int BPF_PROG(on_exit, struct task_struct* task) {
  struct crash* crash = find_crash_in_tree(task);

  if (crash) {
    end_when_last(crash, task);
  }
  return 0;
}

// The last moment with a map on kernels before 6.16.
SEC("?fentry/do_exit")
int BPF_PROG(on_do_exit) {
  struct task_struct* task = bpf_get_current_task_btf();
  struct crash* crash = find_crash_in_tree(task);

  if (crash) {
    walk_once(crash, task);
  }
  return 0;
}
