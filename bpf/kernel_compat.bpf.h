/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Where kernels from 6.1 on differ: one getter per thing that drifted, chosen by what the running
 * kernel's BTF has.
 */
#ifndef CRASHCRAWLER_BPF_KERNEL_COMPAT_BPF_H
#define CRASHCRAWLER_BPF_KERNEL_COMPAT_BPF_H

#include "vmlinux/vmlinux.h"

#include "crash_event.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

/* Open-coded VMA iterator: Linux 6.7, commit 4ac454682158 ("bpf: Introduce task_vma open-coded
 * iterator kfuncs"). */
extern int bpf_iter_task_vma_new(struct bpf_iter_task_vma* it, struct task_struct* task,
                                 __u64 addr) __weak __ksym;
extern struct vm_area_struct* bpf_iter_task_vma_next(struct bpf_iter_task_vma* it) __weak __ksym;
extern void bpf_iter_task_vma_destroy(struct bpf_iter_task_vma* it) __weak __ksym;

/* mm_struct.saved_auxv grew with AT_VECTOR_SIZE_BASE (22 entries since 6.9, 20 before). Result in
 * words. */
static __always_inline __u32 copy_auxv(__u64* to, struct mm_struct* mm) {
  const struct mm_struct* type = 0;
  __u32 bytes = bpf_core_field_size(type->saved_auxv);

  if (bytes > CC_AUXV_WORDS * sizeof(__u64)) {
    bytes = CC_AUXV_WORDS * sizeof(__u64);
  }
  if (bpf_probe_read_kernel(to, bytes, (void*)mm + bpf_core_field_offset(type->saved_auxv))) {
    return 0;
  }
  return bytes / sizeof(__u64);
}

#endif
