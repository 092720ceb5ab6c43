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

static __always_inline void* saved_auxv(struct mm_struct* mm) {
  const struct mm_struct* type = 0;

  return (void*)mm + bpf_core_field_offset(type->saved_auxv);
}

/* mm_struct.saved_auxv grew with AT_VECTOR_SIZE_BASE (22 entries since 6.9, 20 before). Result in
 * words. */
static __always_inline __u32 copy_auxv(__u64* to, struct mm_struct* mm) {
  const struct mm_struct* type = 0;
  __u32 bytes = bpf_core_field_size(type->saved_auxv);

  if (bytes > CC_AUXV_WORDS * sizeof(__u64)) {
    bytes = CC_AUXV_WORDS * sizeof(__u64);
  }
  if (bpf_probe_read_kernel(to, bytes, saved_auxv(mm))) {
    return 0;
  }
  return bytes / sizeof(__u64);
}

/* A file on overlayfs is mapped through a file of the layer below; the path that the program has opened lies beside it
 * since Linux 6.8: commit def3ae83da02 ("fs: store real path instead of fake path in backing file f_path"). The flag
 * that tells such files, FMODE_BACKING, has moved from bit 25 to bit 24 since, and bit 25 now means something else; so
 * what lies there is believed when it is a path: a mount and a dentry of one file system. */
static __always_inline void user_path(struct file* file, struct path* path) {
  enum { MAY_BE_BACKING = 3 << 24 };
  struct backing_file___6_8* backing = (void*)file;
  struct super_block* system = NULL;
  struct vfsmount* mnt;
  struct dentry* dentry;

  if (bpf_core_field_exists(backing->user_path) && BPF_CORE_READ(file, f_mode) & MAY_BE_BACKING) {
    bpf_probe_read_kernel(path, sizeof(*path),
                          (void*)file + bpf_core_field_offset(backing->user_path));
    mnt = path->mnt;
    dentry = path->dentry;
    system = BPF_CORE_READ(dentry, d_sb);
    if (system != NULL && system == BPF_CORE_READ(mnt, mnt_sb)) {
      return;
    }
  }
  path->mnt = BPF_CORE_READ(file, f_path.mnt);
  path->dentry = BPF_CORE_READ(file, f_path.dentry);
}

/* The dentry of `file` in the file system that its mapped inode lies in: on overlayfs in the layer below. Since Linux 6.8
 * that is the one of the file itself (see above); before, it is asked of the inode, which knows its names. NULL: it has
 * none. */
static __always_inline struct dentry* real_dentry(struct file* file) {
  struct backing_file___6_8* backing = (void*)file;
  struct dentry* dentry = BPF_CORE_READ(file, f_path.dentry);
  const struct dentry* type = 0;
  struct inode* inode = BPF_CORE_READ(file, f_inode);
  struct hlist_node* name;

  if (bpf_core_field_exists(backing->user_path) || BPF_CORE_READ(dentry, d_inode) == inode) {
    return dentry;
  }
  name = BPF_CORE_READ(inode, i_dentry.first);
  return name ? (void*)name - bpf_core_field_offset(type->d_u.d_alias) : NULL;
}

/* kernfs_node.parent became __parent, under RCU, with Linux 6.15: commit 633488947ef6 ("kernfs: Use RCU to access
 * kernfs_node::parent."). */
static __always_inline struct kernfs_node* kernfs_parent(struct kernfs_node* node) {
  struct kernfs_node___6_15* newer = (void*)node;

  if (bpf_core_field_exists(newer->__parent)) {
    return BPF_CORE_READ(newer, __parent);
  }
  return BPF_CORE_READ(node, parent);
}

#endif
