/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Who belongs to the run: the processes below its cgroup, what descends from them wherever it has moved since (a mark that
 * is handed on at fork), those below a cgroup that it is attached to, and those of the container that its command starts
 * through an engine.
 *
 * The last are nobody's descendants that we know of: the engine's own processes start them, in a cgroup that does not exist
 * when the run begins, and which of all containers is ours is known only when the engine's client has written down the
 * container's id. So a cgroup that is made with such an id in its name gets a number, at cgroup_mkdir; whoever moves there, or
 * is born there, is marked with the number before it has run its first instruction there; and until it is said which number
 * is ours (own_container), records of all of them go out, each with its number, to be held back or dropped by the probe.
 */
#ifndef CRASHCRAWLER_BPF_TREE_BPF_H
#define CRASHCRAWLER_BPF_TREE_BPF_H

#include "kernel_compat.bpf.h"

enum { RUN_CGROUP = 0, ATTACHED_CGROUP = 1 };

struct {
  __uint(type, BPF_MAP_TYPE_CGROUP_ARRAY);
  __uint(max_entries, 2);
  __type(key, __u32);
  __type(value, __u32);
} watched_cgroups SEC(".maps");

struct mark {
  __u32
      container; /* its number; 0: the task descends from the command, or from the attached cgroup */
  __u32 is_command; /* until it has begun */
};

struct {
  __uint(type, BPF_MAP_TYPE_TASK_STORAGE);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __type(key, int);
  __type(value, struct mark);
} descendants SEC(".maps");

/* What is looked for outside of the command's own tree. Where it is nothing the kernel drops the code that these guard when
 * it loads the programs. */
const volatile bool is_attached = false;        /* ATTACHED_CGROUP is set */
const volatile bool watches_containers = false; /* those that an engine starts */
const volatile bool outside_is_allowed =
    false; /* the caller may see their memory, whoever they run as */

__u32 own_container = 0; /* 0: it is not known yet which container is ours */

static __always_inline struct mark* mark_of(struct task_struct* task) {
  return bpf_task_storage_get(&descendants, task, 0, 0);
}

static __always_inline bool is_ours(const struct mark* mark) {
  return mark != NULL && (!watches_containers || mark->container == 0 || own_container == 0 ||
                          mark->container == own_container);
}

static __always_inline bool in_attached_cgroup(void) {
  return is_attached && bpf_current_task_under_cgroup(&watched_cgroups, ATTACHED_CGROUP) == 1;
}

static __always_inline bool in_tree(struct task_struct* current) {
  return bpf_current_task_under_cgroup(&watched_cgroups, RUN_CGROUP) == 1 || in_attached_cgroup() ||
         is_ours(mark_of(current));
}

static __always_inline __u32 container_of_task(struct task_struct* task) {
  struct mark* mark = watches_containers ? mark_of(task) : NULL;

  return mark ? mark->container : 0;
}

/* Whether the caller may see memory of the running task although it may not be his. */
static __always_inline bool is_allowed_outside(struct task_struct* current) {
  return outside_is_allowed && (in_attached_cgroup() || container_of_task(current) != 0);
}

/* --- containers --- */

struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, 4096);
  __type(
      key,
      __u64); /* id of a cgroup2 directory: its inode number (the field id of struct kernfs_node) */
  __type(value, struct cc_container);
} containers SEC(".maps");

__u32 containers_seen = 0;

/* In a map, because verifiers before 6.7 walk a callback once and take what they find on the stack then for its result. */
struct name_scan {
  struct cc_container container;
  __u32 digits; /* hexadecimal ones in a row, up to here */
  __u32 found;  /* index behind the last of CC_CONTAINER_ID in a row; 0: not found */
};

struct {
  __uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct name_scan);
} name_scans SEC(".maps");

struct name_walk {
  const char* name;
  struct name_scan* scan;
};

static long name_step(__u32 index, struct name_walk* walk) {
  struct name_scan* scan = walk->scan;
  char letter = 0;

  bpf_probe_read_kernel(&letter, 1, walk->name + index);
  if (letter == 0) {
    return 1;
  }
  if ((letter >= '0' && letter <= '9') || (letter >= 'a' && letter <= 'f')) {
    if (++scan->digits == CC_CONTAINER_ID) {
      scan->found = index + 1;
      return 1;
    }
  } else {
    scan->digits = 0;
  }
  return 0;
}

/* A cgroup whose name has a container's id in it (docker/ID, docker-ID.scope, libpod-ID.scope), or one that is made below such
 * a one, gets an entry. */
static __always_inline void remember_container(struct cgroup* cgroup) {
  struct kernfs_node* node = BPF_CORE_READ(cgroup, kn);
  struct kernfs_node* parent = kernfs_parent(node);
  __u64 id = BPF_CORE_READ(node, id), above = BPF_CORE_READ(parent, id);
  struct name_walk walk = {.name = BPF_CORE_READ(node, name)};
  struct name_scan* scan;
  struct cc_container* known;
  __u32 zero = 0;

  if (BPF_CORE_READ(cgroup, root, hierarchy_id) != 0) { /* of cgroup v1 */
    return;
  }
  known = bpf_map_lookup_elem(&containers, &above);
  if (known) {
    bpf_map_update_elem(&containers, &id, known, BPF_ANY);
    return;
  }
  scan = walk.scan = bpf_map_lookup_elem(&name_scans, &zero);
  if (!scan) {
    return;
  }
  scan->digits = scan->found = 0;
  bpf_loop(CC_CGROUP_NAME, name_step, &walk, 0);
  if (scan->found < CC_CONTAINER_ID ||
      bpf_probe_read_kernel(scan->container.id, CC_CONTAINER_ID,
                            walk.name + scan->found - CC_CONTAINER_ID)) {
    return;
  }
  scan->container.number = __sync_fetch_and_add(&containers_seen, 1) + 1;
  bpf_map_update_elem(&containers, &id, &scan->container, BPF_ANY);
}

/* Marks `task`, which is in `cgroup` now, if that is a container's. One that is ours already stays what it is. */
static __always_inline void enter_container(struct task_struct* task, struct cgroup* cgroup) {
  __u64 id = BPF_CORE_READ(cgroup, kn, id);
  struct cc_container* container = bpf_map_lookup_elem(&containers, &id);
  struct mark* mark;

  if (!container || BPF_CORE_READ(cgroup, root, hierarchy_id) != 0 || mark_of(task)) {
    return;
  }
  mark = bpf_task_storage_get(&descendants, task, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
  if (mark) {
    mark->container = container->number;
  }
}

#endif
