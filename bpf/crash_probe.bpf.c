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
// bpf_iter_task_vma_new() says -EBUSY. The other hooks only write down what a death may need later:
// who sent a signal (signal_generate), who started whom with which command line (fork, exec).
//
// Which processes: those below our cgroup, and those descended from them wherever they have moved
// since (the mark is handed on at fork); and, where that is asked for, an attached cgroup and the container of the command
// (tree.bpf.h). Everything else on the machine pays one cgroup comparison and one storage look-up, at fatal signals, forks,
// execs and exits only.
#include "mappings.bpf.h"
#include "snapshot.bpf.h"

#include <bpf/bpf_tracing.h>

char LICENSE[] SEC("license") = "Dual MIT/GPL";

const volatile __u32 crash_stack_bytes = 64 << 10;
const volatile __u32 thread_stack_bytes = 16 << 10;

enum { STACK_PATIENCE = 16, OTHER_STACK_PATIENCE = 2 };

static __always_inline struct crash* find_crash(struct task_struct* task) {
  __u32 tgid = task->tgid;
  return bpf_map_lookup_elem(&crashes, &tgid);
}

// The state of `task`'s process, fresh, or as another thread has begun it this very moment on another CPU. NULL: there is
// no room.
static __noinline struct crash* begin_crash(struct task_struct* task) {
  struct crash fresh = {};
  __u32 tgid = task->tgid;

  fresh.key = key_of(task);
  fresh.key.container = container_of_task(task);
  bpf_map_update_elem(&crashes, &tgid, &fresh, BPF_NOEXIST);
  return bpf_map_lookup_elem(&crashes, &tgid);
}

// The dying thread, and what only it can tell. (Not inlined: the 512 bytes of stack are counted along the calls.)
static __noinline int describe(struct crash* crash, struct task_struct* task, __u32 cause,
                               int signal, void* info) {
  bool may_have_spoken = cause == CC_CAUSE_EXIT || signal == SIGNAL_ABRT;

  crash->described = 1;
  if (!emit_process(crash, task, cause, signal, info)) {
    crash->given_up = 1;
    COUNT(lost_crashes);
    return 0;
  }
  emit_surroundings(crash);
  emit_environment(crash);
  emit_thread(crash, CC_THREAD_CRASHED, may_have_spoken ? CC_DEAD_STACK : CC_REDZONE,
              crash_stack_bytes, STACK_PATIENCE);
  emit_far_stacks(crash, crash_stack_bytes, STACK_PATIENCE);
  if (may_have_spoken) {
    emit_report(crash, task);
  }
  if (cause == CC_CAUSE_CORE_SIGNAL) {
    emit_explanations(crash, task, signal == SIGNAL_ABRT);
  }
  if (cause != CC_CAUSE_KILLED || BPF_CORE_READ(task, ptrace)) {
    emit_first_signal(crash, task, crash_stack_bytes, STACK_PATIENCE);
  }
  return 0;
}

// Why the group of `task` is being brought down, which this thread sees as a SIGKILL; 0: it is not (a sibling's exec
// sends the same to all other threads), or it exits by itself and no fault of it was ever handled.
static __always_inline __u32 cause_of_group_exit(struct task_struct* task) {
  __u32 tgid = task->tgid;
  int code;

  if (!(BPF_CORE_READ(task, signal, flags) & SIGNAL_GROUP_EXIT_FLAG)) {
    return 0;
  }
  code = BPF_CORE_READ(task, signal, group_exit_code);
  if (code & 0x7f) {
    return CC_CAUSE_KILLED;
  }
  return code != 0 && bpf_map_lookup_elem(&faulted, &tgid) ? CC_CAUSE_EXIT : 0;
}

SEC("tp_btf/signal_deliver")
int BPF_PROG(on_signal_deliver, int signal, void* info, struct k_sigaction* action) {
  struct task_struct* task = bpf_get_current_task_btf();
  struct crash* crash;
  __u32 cause = CC_CAUSE_CORE_SIGNAL;
  void* handler = action->sa.sa_handler;

  if (handler != (void*)SIG_DFL_HANDLER) {
    if (handler == (void*)SIG_IGN_HANDLER) {
      return 0;
    }
    if (is_core_signal(signal)) {
      remember_first_signal(task, signal, info);
    }
    remember_call(task);
    return 0;
  }
  if (!is_fatal_signal(signal) || !in_tree(task)) {
    return 0;
  }
  crash = find_crash(task);
  if (crash) {
    if (!crash->given_up) {
      emit_thread(crash, 0, CC_REDZONE, thread_stack_bytes, OTHER_STACK_PATIENCE);
    }
    return 0;
  }
  if (signal == SIGNAL_KILL) {
    cause = cause_of_group_exit(task);
  } else if (!is_core_signal(signal)) {
    cause = CC_CAUSE_KILLED;
  }
  if (cause == 0) {
    return 0;
  }
  COUNT(deaths);
  crash = begin_crash(task);
  if (!crash) {
    COUNT(lost_crashes);
    return 0;
  }
  if (cause == CC_CAUSE_EXIT) {  // the thread that exits comes by on_exit, later
    emit_thread(crash, 0, CC_REDZONE, thread_stack_bytes, OTHER_STACK_PATIENCE);
  } else {
    describe(crash, task, cause, signal, info);
  }
  return 0;
}

// Where a function of the kernel can be hooked; a tracepoint would tax every system call of the machine. The loader knows
// what the function is called (collector.cpp).
SEC("?fentry")
int BPF_PROG(on_sigreturn) {
  remember_return(bpf_get_current_task_btf());
  return 0;
}

SEC("tp_btf/signal_generate")
int BPF_PROG(on_signal_generate, int signal, void* info, struct task_struct* receiver) {
  bool from_user;

  if (!is_fatal_signal(signal)) {
    return 0;
  }
  if (is_core_signal(signal) && receiver == bpf_get_current_task_btf()) {
    // A debugger may keep it from being delivered, and kill the process then.
    if (receiver->ptrace) {
      remember_first_signal(receiver, signal, info);
    }
    return 0;  // a fault, or abort(): siginfo says all, and a program may take a million of them
  }
  from_user = is_from_user(info);
  if (is_ours(mark_of(receiver))) {
    remember_sender(signal, from_user, receiver);
  }
  return 0;
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(on_fork, struct task_struct* parent, struct task_struct* child) {
  struct mark* mark;

  if (in_tree(parent)) {
    mark = bpf_task_storage_get(&descendants, child, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
    if (mark) {
      mark->container = container_of_task(parent);
    }
  } else if (watches_containers) {  // clone3(2) can put it there at once: CLONE_INTO_CGROUP
    enter_container(child, BPF_CORE_READ(child, cgroups, dfl_cgrp));
    mark = mark_of(child);
    if (!is_ours(mark)) {
      return 0;
    }
  } else {
    return 0;
  }
  if (child->pid == child->tgid) {
    remember_fork(parent, child);
    enter_list(child);
    tell_namespace(child);
  }
  return 0;
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(on_exec, struct task_struct* task) {
  struct mark* mark;

  if (in_tree(task)) {
    mark = mark_of(task);
    if (mark && mark->is_command) {
      mark->is_command = 0;
      remember_caller_place(task);
    } else if (
        !mark &&
        is_attached) {  // it has come from elsewhere; who sends it signals is asked of marked tasks
      bpf_task_storage_get(&descendants, task, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
    }
    tell_namespace(task);
    remember_exec(task);
    bpf_task_storage_delete(&first_signals, task);  // of the program before
    enter_list(task);  // the command itself was not forked by a process of the tree
  }
  return 0;
}

// Where a run looks at containers only: those that begin meanwhile, and who enters them.
SEC("?tp_btf/cgroup_mkdir")
int BPF_PROG(on_cgroup_mkdir, struct cgroup* cgroup) {
  remember_container(cgroup);
  return 0;
}

SEC("?tp_btf/cgroup_attach_task")
int BPF_PROG(on_cgroup_attach, struct cgroup* cgroup, const char* path, struct task_struct* task) {
  enter_container(task, cgroup);
  return 0;
}

// Never attached: where somebody outside of the tree may be first, the probe runs it once, in itself. Its place is the
// caller's until the command has begun; sudo may have given it another mount namespace (pam_namespace(8)), which the command
// has not.
SEC("?raw_tp")
int remember_place(void* context) {
  remember_caller_place(bpf_get_current_task_btf());
  return 0;
}

static __always_inline void emit_exit(struct crash* crash, struct task_struct* task) {
  struct cc_exit* record;
  __u32 tgid = crash->key.tgid;

  if (crash->given_up) {
    goto forget;
  }
  RESERVE(record, crash, CC_RECORD_EXIT, goto forget);
  record->time_ns = bpf_ktime_get_boot_ns();
  record->exit_code = BPF_CORE_READ(task, signal, group_exit_code);
  record->lost_records = crash->lost_records;
  record->oom_killed = BPF_CORE_READ(task, signal, oom_mm) != NULL;
  record->threads = crash->threads;
  record->mappings = crash->mappings;
  record->mappings_state = crash->progress & WALKED ? CC_MAPPINGS_WALKED : CC_MAPPINGS_NONE;
  record->environment = crash->environment;
  record->called_off = !crash->described;
  record->mappings_left_out = crash->mappings_left_out;
  record->reserved = 0;
  bpf_ringbuf_submit(record, 0);
forget:
  bpf_map_delete_elem(&crashes, &tgid);
}

// Whether the thread that ends its process by an exit is worth a look: it may be the handler of its fault that exits, or
// a sanitizer.
static __always_inline bool exits_suspiciously(struct task_struct* task) {
  int code = BPF_CORE_READ(task, signal, group_exit_code);
  __u64 place = exit_call(task);

  return place != 0 && code != 0 && !(code & 0x7f) &&
         (bpf_task_storage_get(&first_signals, task, 0, 0) || !is_in_libc(task, place));
}

// The state of a process that dies inside the tree, if it is to be told of; begun here when nothing but its exit tells.
static __always_inline struct crash* dying(struct task_struct* task) {
  struct crash* crash;

  if (!in_tree(task)) {
    return NULL;
  }
  crash = find_crash(task);
  if ((crash && crash->described) || !exits_suspiciously(task)) {
    return crash;
  }
  if (!crash) {
    COUNT(deaths);
    crash = begin_crash(task);
    if (!crash) {
      COUNT(lost_crashes);
    }
  }
  if (crash) {
    describe(crash, task, CC_CAUSE_EXIT, 0, NULL);
  }
  return crash;
}

// One thread walks, the first that comes.
static __always_inline bool begin_walk(struct crash* crash) {
  return !crash->given_up && __sync_val_compare_and_swap(&crash->progress, 0, WALKING) == 0;
}

// When the last thread has been here meanwhile it left the end to this one.
static __always_inline void end_walk(struct crash* crash, struct task_struct* task, bool walked) {
  __u32 result = walked ? WALKED - WALKING : -WALKING;
  __u32 before = __sync_fetch_and_add(&crash->progress, result);

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

// Of the programs below the loader takes the first alone, or the second with one of the last two (collector.cpp).

// The map is still there: Linux 6.16 and newer.
SEC("?tp_btf/sched_process_exit")
int BPF_PROG(on_exit_with_map, struct task_struct* task) {
  struct crash* crash = dying(task);

  leave_list(task);
  if (crash) {
    if (begin_walk(crash)) {
      end_walk(crash, task, walk_by_iterator(crash, task));
    }
    end_when_last(crash, task);
  }
  return 0;
}

SEC("?tp_btf/sched_process_exit")
int BPF_PROG(on_exit, struct task_struct* task) {
  struct crash* crash = in_tree(task) ? find_crash(task) : NULL;

  leave_list(task);
  if (crash) {
    end_when_last(crash, task);
  }
  return 0;
}

// The last moment with a map on kernels before 6.16.
SEC("?fentry/do_exit")
int BPF_PROG(on_do_exit) {
  struct task_struct* task = bpf_get_current_task_btf();
  struct crash* crash = dying(task);

  if (crash && begin_walk(crash)) {
    end_walk(crash, task, walk_by_iterator(crash, task));
  }
  return 0;
}

// The same before 6.7.
SEC("?fentry/do_exit")
int BPF_PROG(on_do_exit_by_tree) {
  struct task_struct* task = bpf_get_current_task_btf();
  struct crash* crash = dying(task);

  if (crash && begin_walk(crash)) {
    end_walk(crash, task, walk_by_tree(crash, task));
  }
  return 0;
}
