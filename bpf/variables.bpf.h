/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Where a global variable of the running process lies, found as the dynamic linker finds it: the executable's dynamic
 * section leads to the list of loaded objects (struct r_debug, <link.h>), and in the first of them that defines it, its
 * address is in the symbol table, by way of the GNU hash. Of `environ` that is the executable with a copy relocation, or
 * else the C library. What of those tables is not in memory is not found: mostly the linker has looked there itself.
 *
 * 64-bit programs with shared libraries only.
 */
#ifndef CRASHCRAWLER_BPF_VARIABLES_BPF_H
#define CRASHCRAWLER_BPF_VARIABLES_BPF_H

#include "emit.bpf.h"

enum {
  LOADED_OBJECTS = 64, /* looked at; the executable and the C library are among the first */
  DYNAMIC_ENTRIES = 64,
  PROGRAM_HEADERS = 32,
  HASH_CHAIN = 32,
};

/* A loaded object while its symbol is looked for. All addresses are runtime addresses. */
struct object_walk {
  __u64 link_map; /* the next to look at */
  __u64 bias;     /* l_addr */
  __u64 dynamic;  /* the next entry of its dynamic section */
  __u64 hash, symbols, strings, r_debug;
  __u64 chain;  /* the next word of the hash chain */
  __u32 symbol; /* and its symbol */
  __u32 name_hash;
  __u64 name[2]; /* looked for: its characters, padded with zeros */
  __u64 found;   /* address of the variable */
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

/* dl_new_hash: h = h * 33 + c, from 5381 (glibc, elf/dl-hash.h). Computed by the compiler. */
static __always_inline __u32 gnu_hash(const char* name, __u32 length) {
  __u32 hash = 5381;

#pragma unroll
  for (__u32 i = 0; i < length; i++) {
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

  if ((hash | 1) == (walk->name_hash | 1) &&
      bpf_probe_read_user(&symbol, sizeof(symbol), (void*)(walk->symbols + walk->symbol * 24ULL)) ==
          0 &&
      symbol.info_and_section >> 16 != 0 &&
      bpf_probe_read_user_str(name, sizeof(name), (void*)(walk->strings + symbol.name)) > 0 &&
      name[0] == walk->name[0] && name[1] == walk->name[1]) {
    walk->found = walk->bias + symbol.value;
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
  __u32 hash = walk->name_hash;

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
  return walk->found != 0;
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

/* Address of the variable in the running process whose name's hash and characters are in `walk`, all else of which is zero.
 * 0: the program has none, or none that can be found. Not inlined: the 512 bytes of stack are counted along the calls. */
static __noinline __u64 find_variable(struct object_walk* walk) {
  enum { PHDR_SIZE = 56 };
  struct task_struct* task = bpf_get_current_task_btf();
  struct auxv_walk auxv = {
      .headers = unknown_zero, .header_size = unknown_zero, .count = unknown_zero};
  struct header_walk executable = {};

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
  walk->dynamic = executable.bias + executable.dynamic;
  bpf_loop(DYNAMIC_ENTRIES, dynamic_step, walk, 0);
  walk->link_map = user_word(walk->r_debug + 8); /* r_debug.r_map */
  bpf_loop(LOADED_OBJECTS, object_step, walk, 0);
  return walk->found;
}

/* Sets `address` to that of the variable called `text`, a literal of at most 15 characters; 0: not found. */
#define FIND_VARIABLE(address, text)                                     \
  do {                                                                   \
    const char literal[16] = text;                                       \
    struct object_walk looked_for = {};                                  \
    looked_for.name_hash = gnu_hash(literal, sizeof(text) - 1);          \
    __builtin_memcpy(looked_for.name, literal, sizeof(looked_for.name)); \
    (address) = find_variable(&looked_for);                              \
  } while (0)

#endif
