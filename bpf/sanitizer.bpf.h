/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * A sanitizer (ASan, UBSan, TSan, MSan, LSan) that has found something prints it and ends the process with an exit
 * status of its own: no signal tells of it. What tells is who calls exit_group(2): everybody else's exit goes through
 * the C library, a sanitizer's runtime makes the system call itself (__sanitizer::internal__exit of compiler-rt). So do
 * static programs and Go's; user space sees that from the frames, and drops them.
 *
 * The message: AddressSanitizer keeps its report in memory, and while it ends the process a copy of it hangs on the
 * stack, on pages of its own, beginning with a line of '='. The others leave what they printed last in the dead stack
 * below the stack pointer (CC_DEAD_STACK).
 */
#ifndef CRASHCRAWLER_BPF_SANITIZER_BPF_H
#define CRASHCRAWLER_BPF_SANITIZER_BPF_H

#include "emit.bpf.h"

struct caller_of_exit {
  bool is_libc;
};

static long look_at_caller(struct task_struct* task, struct vm_area_struct* vma,
                           struct caller_of_exit* caller) {
  char name[8] = {};

  bpf_probe_read_kernel_str(name, sizeof(name),
                            BPF_CORE_READ(vma, vm_file, f_path.dentry, d_name.name));
  caller->is_libc =
      (name[0] == 'l' && name[1] == 'i' && name[2] == 'b' && name[3] == 'c' &&
       (name[4] == '.' || name[4] == '-')) || /* libc.so.6, libc-2.31.so, libc.musl-x86_64.so.1 */
      (name[0] == 'l' && name[1] == 'd' && name[2] == '-' &&
       name[3] == 'm'); /* ld-musl-x86_64.so.1 */
  return 0;
}

/* Where in the program `task` has called exit_group(2), which it is in; 0: it is not. */
static __always_inline __u64 exit_call(struct task_struct* task) {
  enum { EXIT_GROUP = 231, EXIT_GROUP_32 = 252 };
  __u64 call_and_place[2] = {}; /* orig_ax and ip, which stand beside each other */

  bpf_probe_read_kernel(
      call_and_place, sizeof(call_and_place),
      (void*)bpf_task_pt_regs(task) + __builtin_offsetof(struct pt_regs, orig_ax));
  return call_and_place[0] == EXIT_GROUP || call_and_place[0] == EXIT_GROUP_32 ? call_and_place[1]
                                                                               : 0;
}

/* Whether the code at `place` is the C library's. When the memory map is locked at this moment by another thread: false,
 * for user space can tell later. */
static __always_inline bool is_in_libc(struct task_struct* task, __u64 place) {
  struct caller_of_exit caller = {};

  bpf_find_vma(task, place, look_at_caller, &caller, 0);
  return caller.is_libc;
}

struct report_walk {
  __u64 slot; /* address of the next word of the stack */
  __u64 text; /* found */
};

static long report_step(__u32 index, struct report_walk* walk) {
  __u64 word = 0, begin = 0;

  bpf_probe_read_user(&word, sizeof(word), (void*)walk->slot);
  walk->slot += sizeof(word);
  if (word == 0 || word & (CC_PAGE_SIZE - 1)) {
    return 0;
  }
  if (bpf_probe_read_user(&begin, sizeof(begin), (void*)word) || begin != 0x3d3d3d3d3d3d3d3dULL) {
    return 0;
  }
  walk->text = word;
  return 1;
}

/* Sends the report that hangs on the stack of the dying thread, if one does. */
static __always_inline void emit_report(struct crash* crash, struct task_struct* task) {
  enum { WORDS = 256 };
  struct report_walk walk = {};

  if (!belongs_to_caller(task)) {
    return;
  }
  bpf_probe_read_kernel(&walk.slot, sizeof(walk.slot),
                        (void*)bpf_task_pt_regs(task) + __builtin_offsetof(struct pt_regs, sp));
  bpf_loop(WORDS, report_step, &walk, 0);
  if (walk.text) {
    copy_bytes(crash, CC_BYTES_TEXT, 0, walk.text, walk.text + CC_TEXT_BYTES, 1);
  }
}

#endif
