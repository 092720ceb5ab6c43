/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The environment as it is at death. setenv(3) moves it away from the block that execve(2) wrote, and only the C
 * library's variable `environ` knows where to. That variable is found as the dynamic linker finds it: the executable's
 * dynamic section leads to the list of loaded objects (struct r_debug, <link.h>), and in the first of them that
 * defines it, the executable with a copy relocation or else the C library, its address is in the symbol table, by way
 * of the GNU hash. Those pages are in memory: the linker has looked for the same name when the process began.
 *
 * 64-bit programs with shared libraries only. For the others the initial block is read, and EXIT says so.
 *
 * Values may be secret, so names are chosen here, in the kernel: what was not asked for never leaves the process.
 */
#ifndef CRASHCRAWLER_BPF_ENVIRON_BPF_H
#define CRASHCRAWLER_BPF_ENVIRON_BPF_H

#include "emit.bpf.h"

enum {
  LOADED_OBJECTS = 64, /* looked at; the executable and the C library are among the first */
  DYNAMIC_ENTRIES = 64,
  PROGRAM_HEADERS = 32,
  HASH_CHAIN = 32,
  ENVIRONMENT_STRINGS = 4096,
};

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

/* A loaded object while its symbol is looked for. All addresses are runtime addresses. */
struct object_walk {
  __u64 link_map; /* the next to look at */
  __u64 bias;     /* l_addr */
  __u64 dynamic;  /* the next entry of its dynamic section */
  __u64 hash, symbols, strings, r_debug;
  __u64 chain;  /* the next word of the hash chain */
  __u32 symbol; /* and its symbol */
  __u32 found;
  __u64 environ; /* address of the variable */
};

/* Zero, of which the verifier does not know that it is zero. Before Linux 6.7 it follows one step of a bpf_loop() only
 * (commit ab5cfac139ab, "bpf: verify callbacks as if they are called unknown number of times") and takes away as
 * unreachable what depends on two values that two steps have set, if it knows what they were before. */
static volatile __u64 unknown_zero;

static __always_inline __u64 user_word(__u64 address) {
  __u64 word = 0;

  bpf_probe_read_user(&word, sizeof(word), (void*)address);
  return word;
}

static __always_inline __u32 user_half(__u64 address) {
  __u32 half = 0;

  bpf_probe_read_user(&half, sizeof(half), (void*)address);
  return half;
}

/* One Elf64_Dyn. */
static long dynamic_step(__u32 index, struct object_walk* walk) {
  enum { DT_NULL = 0, DT_STRTAB = 5, DT_SYMTAB = 6, DT_DEBUG = 21, DT_GNU_HASH = 0x6ffffef5 };
  __u64 entry[2] = {};

  if (bpf_probe_read_user(entry, sizeof(entry), (void*)walk->dynamic) || entry[0] == DT_NULL) {
    return 1;
  }
  walk->dynamic += sizeof(entry);
  if (entry[0] == DT_DEBUG) {
    walk->r_debug = entry[1];
  } else if (entry[0] == DT_GNU_HASH) {
    walk->hash = entry[1];
  } else if (entry[0] == DT_SYMTAB) {
    walk->symbols = entry[1];
  } else if (entry[0] == DT_STRTAB) {
    walk->strings = entry[1];
  }
  return 0;
}

/* glibc writes runtime addresses into the dynamic section, musl leaves the file's. */
static __always_inline __u64 in_object(const struct object_walk* walk, __u64 address) {
  return address < walk->bias ? address + walk->bias : address;
}

/* dl_new_hash of "__environ": h = h * 33 + c, from 5381 (glibc, elf/dl-hash.h) */
enum { NAME_LENGTH = 9 };

static __always_inline __u32 hash_of_name(void) {
  const char name[NAME_LENGTH + 1] = "__environ";
  __u32 hash = 5381;

#pragma unroll
  for (int i = 0; i < NAME_LENGTH; i++) {
    hash = hash * 33 + (__u8)name[i];
  }
  return hash;
}

/* One symbol of the chain: Elf64_Sym is {u32 name, u8 info, u8 other, u16 section, u64 value, u64 size}. */
static long chain_step(__u32 index, struct object_walk* walk) {
  struct {
    __u32 name;
    __u32 info_and_section;
    __u64 value;
  } symbol = {};
  __u64 name[2] = {};
  __u32 hash = user_half(walk->chain);

  if ((hash | 1) == (hash_of_name() | 1) &&
      bpf_probe_read_user(&symbol, sizeof(symbol), (void*)(walk->symbols + walk->symbol * 24ULL)) ==
          0 &&
      symbol.info_and_section >> 16 != 0 &&
      bpf_probe_read_user(name, NAME_LENGTH + 1, (void*)(walk->strings + symbol.name)) == 0 &&
      name[0] == 0x6f7269766e655f5fULL /* "__enviro" */ && name[1] == 'n') {
    walk->environ = walk->bias + symbol.value;
    return 1;
  }
  walk->chain += 4;
  walk->symbol++;
  return hash & 1; /* the last of its bucket */
}

/* Layout of the table: {u32 buckets, first_symbol, bloom_words, bloom_shift}, u64 bloom[], u32 bucket[], u32 chain[]. */
static __always_inline void look_up(struct object_walk* walk) {
  __u64 table = in_object(walk, walk->hash), buckets;
  __u32 header[4] = {};
  __u32 hash = hash_of_name();

  walk->symbols = in_object(walk, walk->symbols);
  walk->strings = in_object(walk, walk->strings);
  if (bpf_probe_read_user(header, sizeof(header), (void*)table) || header[0] == 0) {
    return;
  }
  buckets = table + sizeof(header) + header[2] * 8ULL;
  walk->symbol = user_half(buckets + hash % header[0] * 4ULL);
  if (walk->symbol < header[1]) {
    return; /* an empty bucket */
  }
  walk->chain = buckets + (header[0] + (__u64)walk->symbol - header[1]) * 4ULL;
  bpf_loop(HASH_CHAIN, chain_step, walk, 0);
}

/* One struct link_map of <link.h>: {l_addr, l_name, l_ld, l_next}. */
static long object_step(__u32 index, struct object_walk* walk) {
  __u64 link_map[4] = {};

  if (walk->link_map == 0 ||
      bpf_probe_read_user(link_map, sizeof(link_map), (void*)walk->link_map)) {
    return 1;
  }
  walk->bias = link_map[0];
  walk->dynamic = link_map[2];
  walk->link_map = link_map[3];
  walk->hash = walk->symbols = walk->strings = unknown_zero;
  bpf_loop(DYNAMIC_ENTRIES, dynamic_step, walk, 0);
  if (walk->hash && walk->symbols && walk->strings) {
    look_up(walk);
  }
  return walk->environ != 0;
}

struct header_walk {
  __u64 headers; /* the program headers: AT_PHDR */
  __u64 dynamic; /* p_vaddr of PT_DYNAMIC */
  __u64 bias;
};

/* One Elf64_Phdr: {u32 type, u32 flags, u64 offset, u64 vaddr, ...}, 56 bytes. */
static long header_step(__u32 index, struct header_walk* walk) {
  enum { PT_DYNAMIC = 2, PT_PHDR = 6 };
  __u64 header[3] = {};
  __u32 type;

  bpf_probe_read_user(header, sizeof(header), (void*)(walk->headers + index * 56ULL));
  type = header[0];
  if (type == PT_PHDR) {
    walk->bias = walk->headers - header[2];
  } else if (type == PT_DYNAMIC) {
    walk->dynamic = header[2];
  }
  return 0;
}

struct auxv_walk {
  __u64 vector; /* kernel address: mm->saved_auxv */
  __u64 headers, header_size, count;
};

static long auxv_step(__u32 index, struct auxv_walk* walk) {
  enum { AT_NULL = 0, AT_PHDR = 3, AT_PHENT = 4, AT_PHNUM = 5 };
  __u64 entry[2] = {};

  bpf_probe_read_kernel(entry, sizeof(entry), (void*)(walk->vector + index * sizeof(entry)));
  if (entry[0] == AT_PHDR) {
    walk->headers = entry[1];
  } else if (entry[0] == AT_PHENT) {
    walk->header_size = entry[1];
  } else if (entry[0] == AT_PHNUM) {
    walk->count = entry[1];
  }
  return entry[0] == AT_NULL;
}

/* Address of the variable `environ`; 0 when the program has none, or none that can be found. */
static __always_inline __u64 environ_variable(struct task_struct* task) {
  enum { PHDR_SIZE = 56, PHDR_SIZE_32 = 32 };
  struct auxv_walk auxv = {
      .headers = unknown_zero, .header_size = unknown_zero, .count = unknown_zero};
  struct header_walk executable = {};
  struct object_walk walk = {};

  auxv.vector = (__u64)saved_auxv(BPF_CORE_READ(task, mm));
  bpf_loop(CC_AUXV_WORDS / 2, auxv_step, &auxv, 0);
  if (auxv.headers == 0 || auxv.header_size != PHDR_SIZE) {
    return 0;
  }
  executable.headers = auxv.headers;
  bpf_loop(auxv.count < PROGRAM_HEADERS ? auxv.count : PROGRAM_HEADERS, header_step, &executable,
           0);
  if (executable.dynamic == 0) {
    return 0;
  }
  walk.dynamic = executable.bias + executable.dynamic;
  bpf_loop(DYNAMIC_ENTRIES, dynamic_step, &walk, 0);
  walk.link_map = user_word(walk.r_debug + 8); /* r_debug.r_map */
  bpf_loop(LOADED_OBJECTS, object_step, &walk, 0);
  return walk.environ;
}

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
  variable = environ_variable(task);
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
