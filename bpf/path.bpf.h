/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The path of a file, without bpf_d_path(): that helper is for sleepable and a few listed hooks
 * only, not for tracepoints. So the dentries are walked up here, across mount points, as
 * prepend_path() of fs/d_path.c does, and each name is appended as it comes: deepest first. User
 * space turns them round. The walk takes no lock; a rename at the same moment may give a mixture,
 * which the inode in the record shows.
 */
#ifndef CRASHCRAWLER_BPF_PATH_BPF_H
#define CRASHCRAWLER_BPF_PATH_BPF_H

#include "emit.bpf.h"

/* A record of variable length is put together here, then copied into the ring. One slot for each
 * hook: both run with preemption off or serialised by `busy`, which is checked because that is the
 * kernel's choice and not ours. */
struct path_scratch {
  struct cc_path record;
  char slack[256]; /* see path_step */
  __u32 busy;
  __u32 reserved;
};

enum { SCRATCH_SIGNAL = 0, SCRATCH_EXIT = 1, SCRATCHES = 2 };

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, SCRATCHES);
  __type(key, __u32);
  __type(value, struct path_scratch);
} path_scratches SEC(".maps");

struct path_walk {
  struct cc_path* record;
  struct dentry* dentry;
  struct mount* mount;
  struct dentry* root; /* where the path begins: the root directory of the dying process */
  struct mount* root_mount;
};

enum { NAME_BYTES = 256 }; /* NAME_MAX and the NUL */

static long path_step(__u32 index, struct path_walk* walk) {
  struct dentry *dentry = walk->dentry, *parent = BPF_CORE_READ(dentry, d_parent);
  struct mount *mount = walk->mount, *above;
  __u32 length = walk->record->length;
  long copied;

  if (dentry == walk->root && mount == walk->root_mount) {
    walk->record->flags &= ~CC_PATH_TRUNCATED;
    return 1;
  }
  if (dentry == BPF_CORE_READ(mount, mnt.mnt_root) || dentry == parent) {
    above = BPF_CORE_READ(mount, mnt_parent);
    if (above == mount || dentry == NULL) { /* the root of the mount tree: outside of his root */
      walk->record->flags &= ~CC_PATH_TRUNCATED;
      return 1;
    }
    walk->dentry = BPF_CORE_READ(mount, mnt_mountpoint);
    walk->mount = above;
    return 0;
  }
  if (length > CC_PATH_BYTES - NAME_BYTES) {
    return 1;
  }
  /* The comparison above is what bounds it; the verifier of 6.1 loses that when the value is
   * spilled, so it is told once more, in a way the compiler cannot drop. With this bound alone a
   * name could reach into the slack. */
  asm volatile("%0 &= %1" : "+r"(length) : "i"(CC_PATH_BYTES - 1));
  copied = bpf_probe_read_kernel_str(&walk->record->bytes[length], NAME_BYTES,
                                     BPF_CORE_READ(dentry, d_name.name));
  if (copied <= 0) {
    return 1;
  }
  walk->record->length = length + copied;
  walk->record->components++;
  walk->dentry = parent;
  return 0;
}

static __always_inline struct mount* mount_of(struct vfsmount* mnt) {
  return (void*)mnt - bpf_core_field_offset(struct mount, mnt);
}

static __always_inline void emit_path(struct crash* crash, struct task_struct* task, __u32 slot,
                                      __u16 purpose, struct vfsmount* mnt, struct dentry* dentry,
                                      struct inode* inode) {
  struct path_scratch* scratch = bpf_map_lookup_elem(&path_scratches, &slot);
  struct path_walk walk;
  struct cc_path* record;
  __u32 length, size;

  if (!scratch) {
    return;
  }
  if (__sync_lock_test_and_set(&scratch->busy, 1)) {
    count_lost(crash);
    return;
  }
  record = &scratch->record;
  fill_header(&record->header, crash, CC_RECORD_PATH, 0);
  record->inode = BPF_CORE_READ(inode, i_ino);
  record->device = BPF_CORE_READ(inode, i_sb, s_dev);
  record->purpose = purpose;
  record->flags = CC_PATH_TRUNCATED;
  record->components = 0;
  record->length = 0;
  if (BPF_CORE_READ(dentry, d_hash.pprev) == NULL && BPF_CORE_READ(dentry, d_parent) != dentry) {
    record->flags |= CC_PATH_DELETED; /* d_unlinked() of include/linux/dcache.h */
  }
  walk.record = record;
  walk.dentry = dentry;
  walk.mount = mount_of(mnt);
  walk.root = BPF_CORE_READ(task, fs, root.dentry);
  walk.root_mount = mount_of(BPF_CORE_READ(task, fs, root.mnt));
  bpf_loop(CC_PATH_COMPONENTS, path_step, &walk, 0);

  length = record->length;
  if (length <= CC_PATH_BYTES) {
    size = (__builtin_offsetof(struct cc_path, bytes) + length + 7) & ~7u;
    record->header.size = size;
    if (size <= sizeof(*record) && bpf_ringbuf_output(&ring, record, size, 0)) {
      count_lost(crash);
    }
  }
  scratch->busy = 0;
}

static __always_inline void emit_file(struct crash* crash, struct task_struct* task, __u32 slot,
                                      __u16 purpose, struct file* file) {
  emit_path(crash, task, slot, purpose, BPF_CORE_READ(file, f_path.mnt),
            BPF_CORE_READ(file, f_path.dentry), BPF_CORE_READ(file, f_inode));
}

#endif
