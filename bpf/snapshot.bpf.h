/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The dying process as it stands at the signal: who it is, whose child, what it was started with,
 * and each thread's registers and stack. Runs in the dying thread, with its user memory readable
 * and its sighand lock held.
 */
#ifndef CRASHCRAWLER_BPF_SNAPSHOT_BPF_H
#define CRASHCRAWLER_BPF_SNAPSHOT_BPF_H

#include "environ.bpf.h"
#include "memory.bpf.h"
#include "path.bpf.h"
#include "sanitizer.bpf.h"
#include "signals.bpf.h"

static __noinline bool emit_process(struct crash* crash, struct task_struct* task, __u32 cause,
                                    int signal, void* info) {
  struct cc_process* record;
  struct mm_struct* mm = BPF_CORE_READ(task, mm);
  struct pid* leader;

  RESERVE(record, crash, CC_RECORD_PROCESS, return false);
  leader = BPF_CORE_READ(task, signal, pids[1]);
  record->time_ns = bpf_ktime_get_boot_ns();
  record->cgroup_id = bpf_get_current_cgroup_id();
  record->tid = task->pid;
  record->ns_tgid = pid_in_namespace(leader, caller_pid_namespace);
  record->ns_tid = pid_in_namespace(BPF_CORE_READ(task, thread_pid), caller_pid_namespace);
  record->parent_tgid =
      pid_in_namespace(BPF_CORE_READ(task, real_parent, signal, pids[1]), caller_pid_namespace);
  record->cause = cause;
  record->pid_level = BPF_CORE_READ(leader, level);
  record->inner_tgid = 0;
  bpf_probe_read_kernel(&record->inner_tgid, sizeof(record->inner_tgid),
                        (void*)leader + bpf_core_field_offset(struct pid, numbers) +
                            (record->pid_level & 31) * bpf_core_type_size(struct upid) +
                            bpf_core_field_offset(struct upid, nr));
  record->uid = BPF_CORE_READ(task, cred, uid.val);
  record->euid = BPF_CORE_READ(task, cred, euid.val);
  record->gid = BPF_CORE_READ(task, cred, gid.val);
  record->mnt_ns = BPF_CORE_READ(task, nsproxy, mnt_ns, ns.inum);
  record->signal = signal;
  // SEND_SIG_NOINFO is a null pointer (include/linux/sched/signal.h): the read fails and leaves
  // zeros.
  __builtin_memset(record->siginfo, 0, sizeof(record->siginfo));
  bpf_probe_read_kernel(record->siginfo, sizeof(record->siginfo), info);
  record->start_code = BPF_CORE_READ(mm, start_code);
  record->end_code = BPF_CORE_READ(mm, end_code);
  record->start_brk = BPF_CORE_READ(mm, start_brk);
  record->brk = BPF_CORE_READ(mm, brk);
  record->start_stack = BPF_CORE_READ(mm, start_stack);
  record->arg_start = BPF_CORE_READ(mm, arg_start);
  record->arg_end = BPF_CORE_READ(mm, arg_end);
  record->env_start = BPF_CORE_READ(mm, env_start);
  record->env_end = BPF_CORE_READ(mm, env_end);
  record->auxv_words = copy_auxv(record->auxv, mm);
  record->memory_withheld = !belongs_to_caller(task);
  record->session = pid_in_namespace(BPF_CORE_READ(task, signal, pids[3]), caller_pid_namespace);
  record->reserved = 0;
  BPF_CORE_READ_INTO(&record->comm, task, group_leader, comm);
  bpf_ringbuf_submit(record, 0);
  return true;
}

/* The registers of the running task and its stack: `below` bytes below the stack pointer, `stack_bytes` above. */
static __noinline void emit_thread(struct crash* crash, __u32 flags, __u32 below, __u32 stack_bytes,
                                   __u16 patience) {
  struct task_struct* task = bpf_get_current_task_btf();
  struct cc_thread* record;
  __u64 stack_pointer, from;

  __sync_fetch_and_add(&crash->threads, 1);
  RESERVE(record, crash, CC_RECORD_THREAD, return );
  record->tid = task->pid;
  record->ns_tid = pid_in_namespace(BPF_CORE_READ(task, thread_pid), caller_pid_namespace);
  record->flags = flags;
  record->reserved = 0;
  // The first 21 words of cc_registers are pt_regs as the entry code pushes it; FRED keeps other
  // things in the upper halves of cs and ss (commit 65c9cc9e2c14, "x86/fred: Reserve space for the
  // FRED stack frame").
  if (bpf_probe_read_kernel(&record->registers, sizeof(struct pt_regs),
                            (void*)bpf_task_pt_regs(task))) {
    __builtin_memset(&record->registers, 0, sizeof(record->registers));
  }
  record->registers.cs &= 0xffff;
  record->registers.ss &= 0xffff;
  record->registers.fs_base = task->thread.fsbase;
  record->registers.gs_base = task->thread.gsbase;
  BPF_CORE_READ_INTO(&record->comm, task, comm);
  stack_pointer = record->registers.rsp;
  if (!belongs_to_caller(task)) {
    __u64 place = record->registers.rip, segment = record->registers.cs;

    __builtin_memset(&record->registers, 0, sizeof(record->registers));
    record->registers.rip = place;
    record->registers.rsp = stack_pointer;
    record->registers.cs = segment;
  }
  bpf_ringbuf_submit(record, 0);

  if (stack_bytes == 0) {
    return;
  }
  from = (stack_pointer - below) & ~(CC_PAGE_SIZE - 1ULL);
  copy_bytes(crash, CC_BYTES_STACK, task->pid, from, from + below - CC_REDZONE + stack_bytes,
             patience);
}

/* Where the stack of the running task begins that `stack_pointer` is in: the kernel put the arguments of the program
 * there, or the C library its thread control block, to which fs points. */
static __always_inline __u64 stack_top(struct task_struct* task, __u64 stack_pointer) {
  __u64 main_stack = BPF_CORE_READ(task, mm, start_stack), thread_stack = task->thread.fsbase;

  return main_stack - stack_pointer < thread_stack - stack_pointer ? main_stack : thread_stack;
}

/* The end of a stack that is deeper than the `kept` bytes above `stack_pointer`: what began it all, below a recursion. */
static __noinline void emit_stack_end(struct crash* crash, __u64 stack_pointer, __u64 kept) {
  enum { STACK_END = 8 << 10, LARGEST_STACK = 1 << 30 };
  struct task_struct* task = bpf_get_current_task_btf();
  __u64 top = stack_top(task, stack_pointer);

  if (top - stack_pointer > kept && top - stack_pointer < LARGEST_STACK) {
    top = (top + CC_PAGE_SIZE - 1) & ~(CC_PAGE_SIZE - 1ULL);
    copy_bytes(crash, CC_BYTES_STACK, task->pid, top - STACK_END, top, STACK_END / CC_PAGE_SIZE);
  }
}

struct frame_walk {
  __u64 slot; /* address of the word before the next one */
  __u64 alternate_stack, size;
  __u64 interrupted; /* found: the stack pointer that the frame keeps */
};

/* A signal frame (struct rt_sigframe, arch/x86/include/asm/sigframe.h) has a copy of the task's sigaltstack(2): {address,
 * flags, size}, and behind it the registers, of which rsp is the 16th. */
static long frame_step(__u32 index, struct frame_walk* walk) {
  enum { SIZE = 2 * 8, STACK_POINTER = (3 + 15) * 8 };

  walk->slot -= sizeof(__u64);
  if (user_word(walk->slot) != walk->alternate_stack ||
      user_word(walk->slot + SIZE) != walk->size) {
    return 0;
  }
  walk->interrupted = user_word(walk->slot + STACK_POINTER);
  return 1;
}

/* The stack that a handler on an alternate one was called from, found by the outermost signal frame there. */
static __noinline void emit_interrupted_stack(struct crash* crash, __u32 stack_bytes,
                                              __u16 patience) {
  enum { WORDS = 4096 };
  struct task_struct* task = bpf_get_current_task_btf();
  struct frame_walk walk = {.alternate_stack = task->sas_ss_sp, .size = task->sas_ss_size};
  __u64 from = 0;

  walk.slot = walk.alternate_stack + walk.size;
  bpf_loop(walk.size / 8 < WORDS ? walk.size / 8 : WORDS, frame_step, &walk, 0);
  if (walk.interrupted) {
    from = (walk.interrupted - CC_REDZONE) & ~(CC_PAGE_SIZE - 1ULL);
    copy_bytes(crash, CC_BYTES_STACK, task->pid, from, from + stack_bytes, patience);
    emit_stack_end(crash, walk.interrupted, stack_bytes);
  }
}

/* What of the dying thread's stacks lies farther away than emit_thread() goes. */
static __noinline void emit_far_stacks(struct crash* crash, __u32 stack_bytes, __u16 patience) {
  struct task_struct* task = bpf_get_current_task_btf();
  __u64 stack_pointer = 0;

  bpf_probe_read_kernel(&stack_pointer, sizeof(stack_pointer),
                        (void*)bpf_task_pt_regs(task) + __builtin_offsetof(struct pt_regs, sp));
  if (!belongs_to_caller(task)) {
    return;
  }
  if (is_on_alternate_stack(task, stack_pointer)) {
    emit_interrupted_stack(crash, stack_bytes, patience);
  } else {
    emit_stack_end(crash, stack_pointer, stack_bytes);
  }
}

/* Of the running task. A function of its own for the verifier, which looks at it once. Returns 0. */
__noinline int emit_surroundings(struct crash* crash) {
  struct task_struct* task = bpf_get_current_task_btf();
  __u64 arg_start = BPF_CORE_READ(task, mm, arg_start);
  __u64 arg_end = BPF_CORE_READ(task, mm, arg_end);

  if (!crash) {
    return 0;
  }
  emit_lineage(crash);
  emit_sender(crash);
  emit_file(crash, SCRATCH_SIGNAL, CC_PATH_EXE, BPF_CORE_READ(task, mm, exe_file));
  emit_path(crash, SCRATCH_SIGNAL, CC_PATH_CWD, BPF_CORE_READ(task, fs, pwd.mnt),
            BPF_CORE_READ(task, fs, pwd.dentry), NULL);
  emit_path(crash, SCRATCH_SIGNAL, CC_PATH_ROOT, BPF_CORE_READ(task, fs, root.mnt),
            BPF_CORE_READ(task, fs, root.dentry), NULL);
  emit_cgroup(crash, task, SCRATCH_SIGNAL);
  if (arg_end > arg_start + CC_ARGV_PAGES * CC_PAGE_SIZE) {
    arg_end = arg_start + CC_ARGV_PAGES * CC_PAGE_SIZE;
  }
  if (arg_end > arg_start) { /* it has no end yet while execve(2) is at work */
    copy_bytes(crash, CC_BYTES_ARGV, 0, arg_start, arg_end, CC_ARGV_PAGES);
  }
  return 0;
}

#endif
