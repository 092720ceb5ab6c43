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
  record->start = BPF_CORE_READ(vma, vm_start);
  record->end = BPF_CORE_READ(vma, vm_end);
  record->flags = BPF_CORE_READ(vma, vm_flags) & 0xf;
  record->file_offset = 0;
  record->inode = 0;
  record->device = 0;
  if (file) {
    record->file_offset = BPF_CORE_READ(vma, vm_pgoff) * CC_PAGE_SIZE;
    record->inode = BPF_CORE_READ(file, f_inode, i_ino);
    record->device = BPF_CORE_READ(file, f_inode, i_sb, s_dev);
  }
  bpf_ringbuf_submit(record, 0);
}

struct mapping_walk {
  struct crash* crash;
  struct file* last_file; /* consecutive regions of one file share one PATH */
};

static __always_inline void take_mapping(struct mapping_walk* walk, struct vm_area_struct* vma) {
  struct file* file = BPF_CORE_READ(vma, vm_file);
  struct crash* crash = walk->crash;
  __u32 of_its_kind;

  crash->mappings++;
  if (file) {
    of_its_kind = ++crash->file_mappings;
  } else {
    of_its_kind = crash->mappings - crash->file_mappings;
  }
  /* A heap of many pieces must not push out the libraries, which lie above it. */
  if (of_its_kind > CC_MAPPINGS) {
    crash->mappings_left_out++;
    return;
  }
  if (file && file != walk->last_file) {
    if (is_elsewhere(bpf_get_current_task_btf())) {
      emit_place(walk->crash, (__u64)file, false);
      emit_place(walk->crash, (__u64)file, true);
    }
    emit_mapped_file(walk->crash, (__u64)file);
    walk->last_file = file;
  }
  emit_mapping(walk->crash, vma, file);
}

/* True when the map was walked: not when its lock was held at this moment (-EBUSY); the next thread tries again. */
static __always_inline bool walk_by_iterator(struct crash* crash, struct task_struct* task) {
  struct mapping_walk mappings = {.crash = crash};
  struct bpf_iter_task_vma walk;
  struct vm_area_struct* vma;
  int opened = bpf_iter_task_vma_new(&walk, task, 0);

  while ((vma = bpf_iter_task_vma_next(&walk))) {
    take_mapping(&mappings, vma);
  }
  bpf_iter_task_vma_destroy(&walk);
  return opened == 0;
}

/* Before Linux 6.7 there is no iterator, but the tree it would walk is there since 6.1: a maple tree, whose nodes are
 * read here one slot at a time, depth first. Slots behind the last one hold what was there before, so where a node ends
 * has to be known (lib/maple_tree.c: mte_node_type(), mte_to_node(), ma_data_end()). No lock is taken; a region is
 * believed when it says that it belongs to this process. */
enum {
  MAPLE_DEPTH = 5, /* 10^4 inner slots times 16: twice vm.max_map_count (65530) */
  MAPLE_STEPS = 1 << 18,
  MAPLE_LEAF = 1,
  MAPLE_ARANGE = 3,
};

struct maple_level {
  __u64 node; /* address */
  __u64 max;  /* last address it covers */
  __u32 type;
  __u32 slot; /* next to look at */
  __u32 end;  /* the last in use */
  __u32 reserved;
};

struct maple_walk {
  struct mapping_walk mappings;
  struct mm_struct* mm;
  __u32 depth;
  __u32 reserved;
  struct maple_level levels[MAPLE_DEPTH];
};

static __always_inline bool is_kernel_address(__u64 entry) {
  return (__s64)entry < 0 && entry < (__u64)-4095; /* ERR_PTR() values are no addresses */
}

static __always_inline void enter_node(struct maple_level* level, __u64 entry, __u64 max) {
  struct maple_range_64* range;
  __u64 last_pivot;

  level->node = entry & ~0xffULL;
  level->type = entry >> 3 & 0xf;
  level->max = max;
  level->slot = 0;
  if (level->type == MAPLE_ARANGE) {
    struct maple_arange_64* arange = (void*)level->node;

    level->end = BPF_CORE_READ(arange, meta.end);
    return;
  }
  range = (void*)level->node;
  last_pivot = BPF_CORE_READ(range, pivot[14]);
  if (last_pivot == 0) {
    level->end = BPF_CORE_READ(range, meta.end);
  } else {
    level->end = last_pivot == max ? 14 : 15;
  }
}

static long maple_step(__u32 index, struct maple_walk* walk) {
  __u32 depth = walk->depth, slot;
  __u64 entry = 0, pivot = 0, pivots, slots;
  struct maple_level* level;

  if (depth >= MAPLE_DEPTH) {
    return 1;
  }
  level = &walk->levels[depth];
  slot = level->slot++;
  if (slot > level->end || slot > 15) {
    walk->depth = depth - 1; /* past 0 it wraps, which ends the walk */
    return 0;
  }
  pivots = level->node + bpf_core_field_offset(struct maple_range_64, pivot);
  slots = level->node + bpf_core_field_offset(struct maple_range_64, slot);
  if (level->type == MAPLE_ARANGE) {
    pivots = level->node + bpf_core_field_offset(struct maple_arange_64, pivot);
    slots = level->node + bpf_core_field_offset(struct maple_arange_64, slot);
  }
  bpf_probe_read_kernel(&entry, sizeof(entry), (void*)(slots + slot * 8ULL));
  if (!is_kernel_address(entry)) {
    return 0;
  }
  if (level->type == MAPLE_LEAF) {
    struct vm_area_struct* vma = (void*)entry;

    if (BPF_CORE_READ(vma, vm_mm) == walk->mm) {
      take_mapping(&walk->mappings, vma);
    }
  } else if (depth + 1 < MAPLE_DEPTH) {
    if (slot < level->end) {
      bpf_probe_read_kernel(&pivot, sizeof(pivot), (void*)(pivots + slot * 8ULL));
    }
    enter_node(&walk->levels[depth + 1], entry, pivot ? pivot : level->max);
    walk->depth = depth + 1;
  }
  return 0;
}

static __noinline bool walk_by_tree(struct crash* crash, struct task_struct* task) {
  struct mm_struct* mm = BPF_CORE_READ(task, mm);
  struct maple_walk walk = {};
  __u64 root;

  walk.mappings.crash = crash;
  walk.mm = mm;
  root = (__u64)BPF_CORE_READ(mm, mm_mt.ma_root);
  if (!is_kernel_address(root)) {
    return false;
  }
  enter_node(&walk.levels[0], root, ~0ULL);
  bpf_loop(MAPLE_STEPS, maple_step, &walk, 0);
  return true;
}

#endif
