/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The path of a file, without bpf_d_path(): that helper is for sleepable and a few listed hooks
 * only, not for tracepoints. So the dentries are walked up here, across mount points, as
 * prepend_path() of fs/d_path.c does, and each name is appended as it comes: deepest first. User
 * space turns them round. A path begins at the root directory of the caller, as he would open it; in a mount namespace
 * of its own at that of the process, which /proc/PID/root leads to. The walk takes no lock; a rename at the same moment may give a mixture,
 * which the inode in the record shows.
 */
#ifndef CRASHCRAWLER_BPF_PATH_BPF_H
#define CRASHCRAWLER_BPF_PATH_BPF_H

#include "lineage.bpf.h"

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

/* The caller's, as the command has inherited it: kernel addresses, to be compared only. */
struct {
  __u64 mount_namespace, root, root_mount;
} caller_place;

struct path_walk {
  struct cc_path* record;
  struct dentry* dentry;
  struct mount* mount; /* NULL: only up to the root of the file system */
  __u64 root;          /* where the path begins */
  __u64 root_mount;
};

enum { NAME_BYTES = 256 }; /* NAME_MAX and the NUL */

static __always_inline bool append_name(struct cc_path* record, const void* name) {
  __u32 length = record->length;
  long copied;

  if (length > CC_PATH_BYTES - NAME_BYTES) {
    return false;
  }
  /* The comparison above is what bounds it; the verifier of 6.1 loses that when the value is
   * spilled, so it is told once more, in a way the compiler cannot drop. With this bound alone a
   * name could reach into the slack. */
  asm volatile("%0 &= %1" : "+r"(length) : "i"(CC_PATH_BYTES - 1));
  copied = bpf_probe_read_kernel_str(&record->bytes[length], NAME_BYTES, name);
  if (copied <= 0) {
    return false;
  }
  record->length = length + copied;
  record->components++;
  return true;
}

static __always_inline struct mount* mount_of(struct vfsmount* mnt) {
  return (void*)mnt - bpf_core_field_offset(struct mount, mnt);
}

/* A file in no directory, as of memfd_create(2) and shmget(2): its name is all there is (simple_dname(), fs/d_path.c). */
static __always_inline bool is_nowhere(struct dentry* dentry, struct mount* mount) {
  return BPF_CORE_READ(dentry, d_parent) == dentry && BPF_CORE_READ(mount, mnt.mnt_root) != dentry;
}

static long path_step(__u32 index, struct path_walk* walk) {
  struct dentry *dentry = walk->dentry, *parent = BPF_CORE_READ(dentry, d_parent);
  struct mount *mount = walk->mount, *above;

  if ((__u64)dentry == walk->root && (__u64)mount == walk->root_mount) {
    walk->record->flags &= ~CC_PATH_TRUNCATED;
    return 1;
  }
  if (mount && is_nowhere(dentry, mount)) {
    if (append_name(walk->record, BPF_CORE_READ(dentry, d_name.name))) {
      walk->record->flags &= ~CC_PATH_TRUNCATED;
    }
    return 1;
  }
  if (dentry == BPF_CORE_READ(mount, mnt.mnt_root) || dentry == parent) {
    above = BPF_CORE_READ(mount, mnt_parent);
    if (above == mount ||
        dentry ==
            NULL) { /* the root of the mount tree, outside of that root; or no mount is asked for */
      walk->record->flags &= ~CC_PATH_TRUNCATED;
      return 1;
    }
    walk->dentry = BPF_CORE_READ(mount, mnt_mountpoint);
    walk->mount = above;
    return 0;
  }
  if (!append_name(walk->record, BPF_CORE_READ(dentry, d_name.name))) {
    return 1;
  }
  walk->dentry = parent;
  return 0;
}

static __always_inline void remember_caller_place(struct task_struct* command) {
  caller_place.mount_namespace = (__u64)BPF_CORE_READ(command, nsproxy, mnt_ns);
  caller_place.root = (__u64)BPF_CORE_READ(command, fs, root.dentry);
  caller_place.root_mount = (__u64)mount_of(BPF_CORE_READ(command, fs, root.mnt));
}

/* True in a task that may see other files under the same paths than the caller. */
static __always_inline bool is_elsewhere(struct task_struct* task) {
  return (__u64)BPF_CORE_READ(task, nsproxy, mnt_ns) != caller_place.mount_namespace;
}

struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, 1024);
  __type(key, __u32); /* inode of a mount namespace */
  __type(value, __u32);
} told_namespaces SEC(".maps");

/* Has the probe hold the mount namespace of `task`, which may be gone when its files are asked for. */
static __always_inline void tell_namespace(struct task_struct* task) {
  struct cc_namespace* record;
  __u32 inode, one = 1;

  if ((!is_attached && !watches_containers) || !is_elsewhere(task)) {
    return;
  }
  inode = BPF_CORE_READ(task, nsproxy, mnt_ns, ns.inum);
  if (bpf_map_update_elem(&told_namespaces, &inode, &one, BPF_NOEXIST)) {
    return;
  }
  record = bpf_ringbuf_reserve(&ring, sizeof(*record), 0);
  if (!record) {
    COUNT(lost_records);
    bpf_map_delete_elem(&told_namespaces, &inode); /* its next process tells it */
    return;
  }
  record->header.type = CC_RECORD_NAMESPACE;
  record->header.version = CC_RECORD_VERSION;
  record->header.size = sizeof(*record);
  record->header.key = key_of(task);
  record->header.key.container = container_of_task(task);
  record->ns_tgid = pid_in_namespace(BPF_CORE_READ(task, signal, pids[1]), caller_pid_namespace);
  record->mnt_ns = inode;
  bpf_ringbuf_submit(record, 0);
}

/* The slot, which is ours until send_path(), with an empty record. NULL: it is in use, which counts as a loss. */
static __always_inline struct path_scratch* begin_path(struct crash* crash, __u32 slot,
                                                       __u16 purpose) {
  struct path_scratch* scratch = bpf_map_lookup_elem(&path_scratches, &slot);
  struct cc_path* record;

  if (!scratch) {
    return NULL;
  }
  if (__sync_lock_test_and_set(&scratch->busy, 1)) {
    count_lost(crash);
    return NULL;
  }
  record = &scratch->record;
  fill_header(&record->header, crash, CC_RECORD_PATH, 0);
  record->inode = 0;
  record->device = 0;
  record->purpose = purpose;
  record->flags = CC_PATH_TRUNCATED;
  record->components = 0;
  record->length = 0;
  return scratch;
}

static __always_inline void send_path(struct path_scratch* scratch, struct crash* crash) {
  struct cc_path* record = &scratch->record;
  __u32 length = record->length, size;

  if (length <= CC_PATH_BYTES) {
    size = (__builtin_offsetof(struct cc_path, bytes) + length + 7) & ~7u;
    record->header.size = size;
    if (size <= sizeof(*record) && bpf_ringbuf_output(&ring, record, size, 0)) {
      count_lost(crash);
    }
  }
  scratch->busy = 0;
}

static __always_inline void emit_path(struct crash* crash, __u32 slot, __u16 purpose,
                                      struct vfsmount* mnt, struct dentry* dentry,
                                      struct inode* inode) {
  struct path_scratch* scratch = begin_path(crash, slot, purpose);
  struct task_struct* task = bpf_get_current_task_btf();
  struct path_walk walk;
  struct cc_path* record;

  if (!scratch) {
    return;
  }
  record = &scratch->record;
  record->inode = BPF_CORE_READ(inode, i_ino);
  record->device = BPF_CORE_READ(inode, i_sb, s_dev);
  if (BPF_CORE_READ(dentry, d_hash.pprev) == NULL &&
      (BPF_CORE_READ(dentry, d_parent) != dentry || is_nowhere(dentry, mount_of(mnt)))) {
    record->flags |= CC_PATH_DELETED; /* d_unlinked() of include/linux/dcache.h */
  }
  walk.record = record;
  walk.dentry = dentry;
  walk.mount = mount_of(mnt);
  walk.root = caller_place.root;
  walk.root_mount = caller_place.root_mount;
  if (is_elsewhere(task)) {
    walk.root = (__u64)BPF_CORE_READ(task, fs, root.dentry);
    walk.root_mount = (__u64)mount_of(BPF_CORE_READ(task, fs, root.mnt));
  }
  bpf_loop(CC_PATH_COMPONENTS, path_step, &walk, 0);
  send_path(scratch, crash);
}

static __always_inline void emit_file(struct crash* crash, __u32 slot, __u16 purpose,
                                      struct file* file) {
  struct path path = {};

  user_path(file, &path);
  emit_path(crash, slot, purpose, path.mnt, path.dentry, BPF_CORE_READ(file, f_inode));
}

/* The path of the mapped struct file at `address`. Returns 0. A global function, as the next one: the verifier looks at it
 * once and not at every call. */
__noinline int emit_mapped_file(struct crash* crash, __u64 address) {
  if (crash) {
    emit_file(crash, SCRATCH_EXIT, CC_PATH_MAPPING, (void*)address);
  }
  return 0;
}

/* Where the same file lies in its file system, which the caller may have mounted elsewhere: as the program has opened it,
 * or, when `below`, in the layer below, if that is another place. Returns 0. */
__noinline int emit_place(struct crash* crash, __u64 address, bool below) {
  struct file* file = (void*)address;
  struct path_scratch* scratch;
  struct path_walk walk = {};
  struct path path = {};
  struct dentry* dentry;

  user_path(file, &path);
  dentry = below ? real_dentry(file) : path.dentry;
  if (!crash || !dentry || (below && dentry == path.dentry)) {
    return 0;
  }
  scratch = begin_path(crash, SCRATCH_EXIT, CC_PATH_IN_FILE_SYSTEM);
  if (!scratch) {
    return 0;
  }
  scratch->record.inode = BPF_CORE_READ(dentry, d_inode, i_ino);
  scratch->record.device = BPF_CORE_READ(dentry, d_sb, s_dev);
  walk.record = &scratch->record;
  walk.dentry = dentry;
  bpf_loop(CC_PATH_COMPONENTS, path_step, &walk, 0);
  send_path(scratch, crash);
  return 0;
}

struct cgroup_walk {
  struct cc_path* record;
  struct kernfs_node* node;
};

static long cgroup_step(__u32 index, struct cgroup_walk* walk) {
  struct kernfs_node *node = walk->node, *parent = kernfs_parent(node);

  if (parent == NULL) { /* the root of the hierarchy, which has no name */
    walk->record->flags &= ~CC_PATH_TRUNCATED;
    return 1;
  }
  if (!append_name(walk->record, BPF_CORE_READ(node, name))) {
    return 1;
  }
  walk->node = parent;
  return 0;
}

/* The cgroup2 path of `task`, from the root of the hierarchy. */
static __always_inline void emit_cgroup(struct crash* crash, struct task_struct* task, __u32 slot) {
  struct path_scratch* scratch = begin_path(crash, slot, CC_PATH_CGROUP);
  struct cgroup_walk walk;

  if (!scratch) {
    return;
  }
  walk.record = &scratch->record;
  walk.node = BPF_CORE_READ(task, cgroups, dfl_cgrp, kn);
  bpf_loop(CC_PATH_COMPONENTS, cgroup_step, &walk, 0);
  send_path(scratch, crash);
}

#endif
