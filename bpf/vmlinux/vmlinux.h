/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The kernel types our programs touch, and of each only the fields they read. Written by hand so that the build needs
 * no kernel of its own: offsets do not matter, libbpf relocates every access against the BTF of the kernel that runs
 * (preserve_access_index). Where a field has moved or changed between kernels, kernel_compat.bpf.h knows.
 */
#ifndef __VMLINUX_H__
#define __VMLINUX_H__

typedef signed char __s8;
typedef unsigned char __u8;
typedef short __s16;
typedef unsigned short __u16;
typedef int __s32;
typedef unsigned int __u32;
typedef long long __s64;
typedef unsigned long long __u64;
typedef __u16 __be16;
typedef __u32 __be32;
typedef __u32 __wsum;
typedef _Bool bool;
#define true 1
#define false 0
#define NULL ((void*)0)

/* include/uapi/linux/bpf.h: a stable interface, so numbers */
enum bpf_map_type {
  BPF_MAP_TYPE_HASH = 1,
  BPF_MAP_TYPE_ARRAY = 2,
  BPF_MAP_TYPE_PERCPU_ARRAY = 6,
  BPF_MAP_TYPE_CGROUP_ARRAY = 8,
  BPF_MAP_TYPE_LRU_HASH = 9,
  BPF_MAP_TYPE_RINGBUF = 27,
  BPF_MAP_TYPE_TASK_STORAGE = 29,
};
enum { BPF_ANY = 0, BPF_NOEXIST = 1 };
enum { BPF_F_NO_PREALLOC = 1 };
enum { BPF_LOCAL_STORAGE_GET_F_CREATE = 1 };

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

typedef struct {
  int counter;
} atomic_t;

typedef struct {
  __u32 val;
} kuid_t;

typedef struct {
  __u32 val;
} kgid_t;

struct cred {
  kuid_t uid, euid, suid;
  kgid_t gid;
};

struct ns_common {
  unsigned int inum;
};

struct pid_namespace {
  struct ns_common ns;
};

struct mnt_namespace {
  struct ns_common ns;
};

struct nsproxy {
  struct mnt_namespace* mnt_ns;
};

struct upid {
  int nr;
  struct pid_namespace* ns;
};

struct pid {
  unsigned int level;
  struct upid numbers[1];
};

struct signal_struct {
  atomic_t live;
  struct pid* pids[4]; /* enum pid_type: PIDTYPE_TGID is 1, PIDTYPE_SID 3 */
  int group_exit_code;
  unsigned int flags;
  struct mm_struct* oom_mm;
};

struct hlist_bl_node {
  struct hlist_bl_node** pprev;
};

struct qstr {
  const unsigned char* name;
};

struct super_block {
  __u32 s_dev;
};

struct hlist_node {
  struct hlist_node* next;
};

struct hlist_head {
  struct hlist_node* first;
};

struct inode {
  unsigned long i_ino;
  struct super_block* i_sb;
  struct hlist_head i_dentry;
};

struct dentry {
  struct inode* d_inode;
  union {
    struct hlist_node d_alias;
  } d_u;
  struct hlist_bl_node d_hash;
  struct dentry* d_parent;
  struct qstr d_name;
  struct super_block* d_sb;
};

struct vfsmount {
  struct dentry* mnt_root;
  struct super_block* mnt_sb;
};

struct mount {
  struct mount* mnt_parent;
  struct dentry* mnt_mountpoint;
  struct vfsmount mnt;
};

struct path {
  struct vfsmount* mnt;
  struct dentry* dentry;
};

struct file {
  unsigned int f_mode;
  struct path f_path;
  struct inode* f_inode;
};

/* since Linux 6.8; before, f_path was what the user sees */
struct backing_file___6_8 {
  struct path user_path;
};

struct fs_struct {
  struct path root, pwd;
};

struct kernfs_node {
  const char* name;
  struct kernfs_node* parent;
  __u64 id;
};

/* since Linux 6.15 */
struct kernfs_node___6_15 {
  struct kernfs_node* __parent;
};

struct cgroup_root {
  int hierarchy_id;
};

struct cgroup {
  struct kernfs_node* kn;
  struct cgroup_root* root;
};

struct css_set {
  struct cgroup* dfl_cgrp;
};

/* include/linux/maple_tree.h: the shape of the VMA tree since Linux 6.1 */
struct maple_tree {
  void* ma_root;
};

struct maple_metadata {
  unsigned char end;
};

struct maple_range_64 {
  unsigned long pivot[15];
  union {
    void* slot[16];
    struct {
      void* pad[15];
      struct maple_metadata meta;
    };
  };
};

struct maple_arange_64 {
  unsigned long pivot[9];
  void* slot[10];
  struct maple_metadata meta;
};

struct mm_struct {
  struct maple_tree mm_mt;
  unsigned long start_code, end_code, start_brk, brk, start_stack;
  unsigned long arg_start, arg_end, env_start, env_end;
  unsigned long saved_auxv[64]; /* its real length differs between kernels */
  struct file* exe_file;
};

struct vm_area_struct {
  unsigned long vm_start, vm_end, vm_flags, vm_pgoff;
  struct mm_struct* vm_mm;
  struct file* vm_file;
};

struct thread_struct {
  unsigned long fsbase, gsbase;
};

struct task_struct {
  struct mm_struct* mm;
  int pid, tgid;
  int exit_code;
  unsigned int ptrace;
  struct task_struct* real_parent;
  struct task_struct* group_leader;
  struct pid* thread_pid;
  __u64 start_boottime;
  const struct cred* cred;
  char comm[16];
  struct fs_struct* fs;
  struct nsproxy* nsproxy;
  struct signal_struct* signal;
  struct css_set* cgroups;
  unsigned long sas_ss_sp, sas_ss_size; /* sigaltstack(2) */
  struct thread_struct thread;
};

struct sigaction {
  void* sa_handler;
};

struct k_sigaction {
  struct sigaction sa;
};

#pragma clang attribute pop

/* Fixed by the x86 entry code; mostly copied whole. */
struct pt_regs {
  unsigned long words[15];
  unsigned long orig_ax, ip, cs, flags, sp, ss;
};

struct bpf_iter_task_vma {
  __u64 opaque[1];
} __attribute__((aligned(8)));

#endif
