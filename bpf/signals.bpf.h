/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * What is remembered of signals until it is known whether they matter: the newest core signal of each thread that went
 * to a handler, and who sent a process the signal that ends it. Both are copied into the train of a death only.
 *
 * A program that takes faults as control flow (a JVM, a garbage collector) must not feel this: after the first few
 * dozen of a thread only the place of a fault is kept. The rest of a fault whose handler never returned is read by user
 * space from the signal frame, which is still on the stack then; a handler that had returned has left none.
 */
#ifndef CRASHCRAWLER_BPF_SIGNALS_BPF_H
#define CRASHCRAWLER_BPF_SIGNALS_BPF_H

#include "lineage.bpf.h"
#include "memory.bpf.h"

enum { SIGNAL_ABRT = 6, SIGNAL_KILL = 9, SIG_DFL_HANDLER = 0, SIG_IGN_HANDLER = 1 };

/* include/linux/sched/signal.h: the whole group is being brought down */
enum { SIGNAL_GROUP_EXIT_FLAG = 4 };

/* signal(7): default action "Core". */
static __always_inline bool is_core_signal(int signal) {
  const __u64 core =
      1 << 3 | 1 << 4 | 1 << 5 | 1 << 6 | 1 << 7 | 1 << 8 | 1 << 11 | 1 << 24 | 1 << 25 | 1u << 31;
  return signal > 0 && signal < 32 && (core >> signal & 1);
}

/* signal(7): default action "Core" or "Term"; not CHLD, CONT, STOP, TSTP, TTIN, TTOU, URG, WINCH. */
static __always_inline bool is_fatal_signal(int signal) {
  const __u64 harmless =
      1 << 17 | 1 << 18 | 1 << 19 | 1 << 20 | 1 << 21 | 1 << 22 | 1 << 23 | 1 << 28;
  return signal > 0 && (signal >= 32 || !(harmless >> signal & 1));
}

struct first_signal {
  __u64 count;
  __u64 rip, rsp;       /* of the newest */
  __u64 original_stack; /* rsp of the newest that did not happen on the alternate stack */
  __u32 signal;         /* of the newest */
  __u32 pending; /* handlers called since the first fault, and not returned; see sees_returns */
  __u8 siginfo
      [CC_SIGINFO_SIZE]; /* of the newest of the first COPIED_FAULTS, and so are the registers */
  struct pt_regs registers;
};

enum { COPIED_FAULTS = 64 };

/* Set by the loader once on_sigreturn is attached: only then does first_signal.pending mean anything. */
__u32 sees_returns = 0;

struct {
  __uint(type, BPF_MAP_TYPE_TASK_STORAGE);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __type(key, int);
  __type(value, struct first_signal);
} first_signals SEC(".maps");

/* Processes of which a thread has a first_signal. */
struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, 4096);
  __type(key, __u32); /* tgid */
  __type(value, __u32);
} faulted SEC(".maps");

static __always_inline bool is_on_alternate_stack(struct task_struct* task, __u64 stack_pointer) {
  return stack_pointer - task->sas_ss_sp < task->sas_ss_size; /* sas_ss_size 0: there is none */
}

static __always_inline void remember_first_signal(struct task_struct* task, int signal,
                                                  void* info) {
  struct first_signal* first = bpf_task_storage_get(&first_signals, task, 0, 0);
  struct pt_regs* registers;
  __u32 tgid = task->tgid, one = 1;

  if (!first) {  // the second fault and every later one knows by this that the task is in the tree
    if (!in_tree(task)) {
      return;
    }
    first = bpf_task_storage_get(&first_signals, task, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
    if (!first) {
      return;
    }
    bpf_map_update_elem(&faulted, &tgid, &one, BPF_ANY);
  }
  registers = (void*)bpf_task_pt_regs(task);
  first->count++;
  first->signal = signal;
  first->rip = registers->ip;
  first->rsp = registers->sp;
  if (!is_on_alternate_stack(task, first->rsp)) {
    first->original_stack = first->rsp;
  }
  if (first->count <= COPIED_FAULTS) {
    bpf_probe_read_kernel(first->siginfo, sizeof(first->siginfo), info);
    bpf_probe_read_kernel(&first->registers, sizeof(first->registers), registers);
  }
}

/* A handler is called, of whatever signal: each returns by rt_sigreturn(2). */
static __always_inline void remember_call(struct task_struct* task) {
  struct first_signal* first =
      sees_returns ? bpf_task_storage_get(&first_signals, task, 0, 0) : NULL;

  if (first) {
    first->pending++;
  }
}

/* A handler that leaves by siglongjmp(3) leaves no frame on the stack, but it never comes by here. */
static __always_inline void remember_return(struct task_struct* task) {
  struct first_signal* first = bpf_task_storage_get(&first_signals, task, 0, 0);

  if (first && first->pending > 0) {
    first->pending--;
  }
}

/* Sends it with the stack that the handlers were called from: they may run on another one, and fault there again. */
static __noinline void emit_first_signal(struct crash* crash, struct task_struct* task,
                                         __u32 stack_bytes, __u16 patience) {
  struct first_signal* first = bpf_task_storage_get(&first_signals, task, 0, 0);
  struct cc_first_signal* record;
  __u64 from;

  if (!first || !belongs_to_caller(task)) {
    return;
  }
  RESERVE(record, crash, CC_RECORD_FIRST_SIGNAL, return );
  record->tid = task->pid;
  record->signal = first->signal;
  record->count = first->count;
  record->place_only = first->count > COPIED_FAULTS;
  record->handler = !sees_returns         ? CC_HANDLER_UNKNOWN
                    : first->pending == 0 ? CC_HANDLER_RETURNED
                                          : CC_HANDLER_NOT_RETURNED;
  if (record->place_only) {
    __builtin_memset(record->siginfo, 0, sizeof(record->siginfo));
    __builtin_memset(&record->registers, 0, sizeof(record->registers));
    record->registers.rip = first->rip;
    record->registers.rsp = first->rsp;
  } else {
    __builtin_memcpy(record->siginfo, first->siginfo, sizeof(record->siginfo));
    __builtin_memcpy(&record->registers, &first->registers, sizeof(first->registers));
  }
  record->registers.cs &= 0xffff;
  record->registers.ss &= 0xffff;
  record->registers.fs_base = task->thread.fsbase;
  record->registers.gs_base = task->thread.gsbase;
  from = first->original_stack ? first->original_stack : first->rsp;
  from = (from - CC_REDZONE) & ~(CC_PAGE_SIZE - 1ULL);
  bpf_ringbuf_submit(record, 0);
  copy_bytes(crash, CC_BYTES_STACK, task->pid, from, from + stack_bytes, patience);
  if (first->count <= COPIED_FAULTS) {
    emit_register_memory(crash, &first->registers);
  }
}

struct sender {
  struct cc_key self; /* zeros: the kernel */
  __u32 ns_tgid;
  __u32 uid;
  __u32 signal;
  __u32 in_tree;
  __u32 namespace_end;
  __u32 reserved;
  char comm[CC_COMM_SIZE];
};

struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, 4096);
  __type(key, __u32); /* tgid of the receiver */
  __type(value, struct sender);
} senders SEC(".maps");

/* SEND_SIG_NOINFO (0) is a kill by the running process, SEND_SIG_PRIV (1) the kernel's own; else si_code tells. */
static __always_inline bool is_from_user(void* info) {
  __s32 code = 1;

  if (info == NULL) {
    return true;
  }
  return bpf_probe_read_kernel(&code, sizeof(code), info + 8) == 0 && code <= 0;
}

/* Whether the running task is the first process of its pid namespace, on its way out: a SIGKILL that the kernel sends then is
 * for those that it leaves behind (zap_pid_ns_processes(), kernel/pid_namespace.c). */
static __always_inline bool ends_namespace(struct task_struct* task) {
  struct pid* leader = BPF_CORE_READ(task, signal, pids[1]);
  __u32 level = BPF_CORE_READ(leader, level);
  int number = 0;

  bpf_probe_read_kernel(&number, sizeof(number),
                        (void*)leader + bpf_core_field_offset(struct pid, numbers) +
                            (level & 31) * bpf_core_type_size(struct upid) +
                            bpf_core_field_offset(struct upid, nr));
  return level > 0 && number == 1 && BPF_CORE_READ(task, signal, flags) & SIGNAL_GROUP_EXIT_FLAG;
}

static __always_inline void remember_sender(int signal, bool from_user,
                                            struct task_struct* receiver) {
  struct task_struct* current = bpf_get_current_task_btf();
  __u32 tgid = BPF_CORE_READ(receiver, tgid);
  struct sender fresh = {};

  fresh.signal = signal;
  if (from_user) {
    fresh.self = key_of(current);
    fresh.ns_tgid = pid_in_namespace(BPF_CORE_READ(current, signal, pids[1]), caller_pid_namespace);
    fresh.uid = BPF_CORE_READ(current, cred, uid.val);
    fresh.in_tree = in_tree(current);
    BPF_CORE_READ_INTO(&fresh.comm, current, group_leader, comm);
  } else {
    fresh.namespace_end = signal == SIGNAL_KILL && ends_namespace(current);
  }
  bpf_map_update_elem(&senders, &tgid, &fresh, BPF_ANY);
}

static __always_inline void emit_sender(struct crash* crash) {
  __u32 tgid = crash->key.tgid;
  struct sender* sender = bpf_map_lookup_elem(&senders, &tgid);
  struct cc_sender* record;

  if (!sender) {
    return;
  }
  RESERVE(record, crash, CC_RECORD_SENDER, return );
  record->sender = sender->self;
  record->ns_tgid = sender->ns_tgid;
  record->uid = sender->uid;
  record->signal = sender->signal;
  record->in_tree = sender->in_tree;
  __builtin_memcpy(record->comm, sender->comm, sizeof(record->comm));
  record->namespace_end = sender->namespace_end;
  record->command_length = copy_command(record->command, sender->self.tgid);
  bpf_ringbuf_submit(record, 0);
}

#endif
