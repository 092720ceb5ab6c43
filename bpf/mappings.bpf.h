/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The memory map of a dying process, from its exit hook: at the signal it cannot be walked, the
 * sighand lock is held with interrupts off and bpf_iter_task_vma_new() answers -EBUSY.
 */
#ifndef CRASHCRAWLER_BPF_MAPPINGS_BPF_H
#define CRASHCRAWLER_BPF_MAPPINGS_BPF_H

#include "path.bpf.h"

static __always_inline void emit_mapping(struct crash* crash, struct vm_area_struct* vma,
                                         struct file* file) {
  struct cc_mapping* record;

  RESERVE(record, crash, CC_RECORD_MAPPING, return );
  record->start = vma->vm_start;
  record->end = vma->vm_end;
  record->flags = vma->vm_flags & 0xf;
  record->file_offset = 0;
  record->inode = 0;
  record->device = 0;
  if (file) {
    record->file_offset = vma->vm_pgoff * CC_PAGE_SIZE;
    record->inode = BPF_CORE_READ(file, f_inode, i_ino);
    record->device = BPF_CORE_READ(file, f_inode, i_sb, s_dev);
  }
  bpf_ringbuf_submit(record, 0);
}

// True when the map was walked: not when its lock was held at this moment (-EBUSY); the next thread
// tries again.
static __always_inline bool walk_mappings(struct crash* crash, struct task_struct* task) {
  struct bpf_iter_task_vma walk;
  struct vm_area_struct* vma;
  struct file* last_file = NULL;
  int opened = bpf_iter_task_vma_new(&walk, task, 0);

  while ((vma = bpf_iter_task_vma_next(&walk))) {
    struct file* file = BPF_CORE_READ(vma, vm_file);

    if (++crash->mappings > CC_MAPPINGS) {
      continue;
    }
    if (file && file != last_file) {
      emit_file(crash, task, SCRATCH_EXIT, CC_PATH_MAPPING, file);
      last_file = file;
    }
    emit_mapping(crash, vma, file);
  }
  bpf_iter_task_vma_destroy(&walk);
  return opened == 0;
}

#endif
