/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The environment as it is at death. setenv(3) moves it away from the block that execve(2) wrote, and only the C
 * library's variable `environ` knows where to.
 *
 * 64-bit programs with shared libraries only. For the others the initial block is read, and EXIT says so.
 *
 * Values may be secret, so names are chosen here, in the kernel: what was not asked for never leaves the process.
 */
#ifndef CRASHCRAWLER_BPF_ENVIRON_BPF_H
#define CRASHCRAWLER_BPF_ENVIRON_BPF_H

#include "variables.bpf.h"

enum { ENVIRONMENT_STRINGS = 4096 };

/* Names to be kept, padded with zeros. Filled by the loader. */
struct variable_name {
  char bytes[CC_VARIABLE_NAME];
};

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(max_entries, 256);
  __type(key, struct variable_name);
  __type(value, __u32);
} variable_names SEC(".maps");

struct variable_walk {
  struct crash* crash;
  __u64 pointer; /* address of the next char* */
  __u64
      string; /* address of the next string, when there are no pointers to them: the initial block */
  __u64 end;  /* of that block */
};

/* Whether the string at `address` is a variable to be kept. Written without a branch in the loop: the verifier would
 * follow both ways of each of them. */
static __always_inline bool is_wanted(__u64 address) {
  struct variable_name name = {};
  __u64 ended = 0;

  if (bpf_probe_read_user_str(name.bytes, sizeof(name.bytes), (void*)address) <= 0) {
    return false;
  }
  for (int i = 0; i < CC_VARIABLE_NAME; i++) {
    ended |= ((__u64)(__u8)(name.bytes[i] ^ '=') - 1) >> 63; /* 1 when they are equal */
    name.bytes[i] &= ended - 1;
  }
  return bpf_map_lookup_elem(&variable_names, &name) != NULL;
}

static __always_inline long emit_variable(struct crash* crash, __u64 address) {
  struct cc_variable* record;
  long copied;

  RESERVE(record, crash, CC_RECORD_VARIABLE, return 1);
  record->reserved = 0;
  copied = bpf_probe_read_user_str(record->text, sizeof(record->text), (void*)address);
  record->length = copied > 0 ? copied - 1 : 0;
  bpf_ringbuf_submit(record, 0);
  return 0;
}

static long live_step(__u32 index, struct variable_walk* walk) {
  __u64 string = user_word(walk->pointer);

  walk->pointer += sizeof(string);
  if (string == 0) {
    return 1;
  }
  return is_wanted(string) ? emit_variable(walk->crash, string) : 0;
}

/* Where one string ends is where the next begins. */
static long length_step(__u32 index, struct variable_walk* walk) {
  char piece[64];
  long copied = bpf_probe_read_user_str(piece, sizeof(piece), (void*)walk->string);

  if (copied <= 0) {
    walk->string = walk->end;
    return 1;
  }
  walk->string += copied;
  if (copied < (long)sizeof(piece)) {
    return 1;
  }
  walk->string--; /* cut, and the NUL that ends the piece is not the string's */
  return 0;
}

static long initial_step(__u32 index, struct variable_walk* walk) {
  enum { PIECES = 2048 }; /* of a string of MAX_ARG_STRLEN, 128 KiB */

  if (walk->string >= walk->end ||
      (is_wanted(walk->string) && emit_variable(walk->crash, walk->string))) {
    return 1;
  }
  bpf_loop(PIECES + 32, length_step, walk, 0);
  return 0;
}

/* Of the running task. A function of its own for the verifier, which looks at it once. Returns 0. */
__noinline int emit_environment(struct crash* crash) {
  struct task_struct* task = bpf_get_current_task_btf();
  struct variable_walk walk = {.crash = crash};
  __u64 variable;

  if (!crash || !belongs_to_caller(task)) {
    return 0;
  }
  FIND_VARIABLE(variable, "__environ");
  if (variable) {
    crash->environment = CC_ENVIRONMENT_LIVE;
    walk.pointer = user_word(variable);
    bpf_loop(walk.pointer ? ENVIRONMENT_STRINGS : 0, live_step, &walk, 0);
  } else {
    crash->environment = CC_ENVIRONMENT_INITIAL;
    walk.string = BPF_CORE_READ(task, mm, env_start);
    walk.end = BPF_CORE_READ(task, mm, env_end);
    bpf_loop(ENVIRONMENT_STRINGS, initial_step, &walk, 0);
  }
  return 0;
}

#endif
