/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * Small pieces of memory that explain a crash: what the registers point to, what the C library wrote down before it
 * aborted, and the C++ exception that nobody caught. Of the running task, while its memory is readable.
 */
#ifndef CRASHCRAWLER_BPF_MEMORY_BPF_H
#define CRASHCRAWLER_BPF_MEMORY_BPF_H

#include "variables.bpf.h"

enum { MEMORY_BEFORE = 64 };

/* A struct cc_bytes with less room. */
struct small_bytes {
  struct cc_record header;
  __u64 address;
  __u32 tid;
  __u16 purpose;
  __u16 reserved;
  __u32 length;
  __u32 reserved2;
  __u8 bytes[CC_MEMORY_BYTES];
};

/* CC_MEMORY_BYTES from `before` bytes before `address` on; what lies in another page than `address` is left out when it cannot
 * be read. Nothing when `address` cannot be. Returns 0; looked at once by the verifier. */
__noinline int emit_memory(struct crash* crash, __u64 address, __u32 before, __u32 purpose) {
  __u64 page = address & ~(CC_PAGE_SIZE - 1ULL), start = address - before, length = CC_MEMORY_BYTES;
  struct small_bytes* record;
  __u8 first;

  if (!crash || address < CC_PAGE_SIZE || !belongs_to_caller(bpf_get_current_task_btf()) ||
      bpf_probe_read_user(&first, 1, (void*)address)) {
    return 0;
  }
  RESERVE(record, crash, CC_RECORD_BYTES, return 0);
  if (bpf_probe_read_user(record->bytes, sizeof(record->bytes), (void*)start)) {
    start = start < page ? page : start;
    length = page + CC_PAGE_SIZE - start;
    if (length > sizeof(record->bytes)) {
      length = sizeof(record->bytes);
    }
    if (bpf_probe_read_user(record->bytes, length, (void*)start)) {
      length = 0;
    }
  }
  record->address = start;
  record->tid = 0;
  record->purpose = purpose;
  record->reserved = 0;
  record->length = length;
  record->reserved2 = 0;
  bpf_ringbuf_submit(record, 0);
  return 0;
}

struct register_walk {
  struct crash* crash;
  void* registers; /* in the kernel: a struct pt_regs */
  __u64 stack_pointer;
};

static long register_step(__u32 index, struct register_walk* walk) {
  enum { ORIG_AX = 15, CS = 17, FLAGS = 18, SP = 19, SS = 20, STACK_KEPT_ANYWAY = 4096 };
  __u64 value = 0;

  if (index == ORIG_AX || index == CS || index == FLAGS || index == SP || index == SS) {
    return 0;
  }
  bpf_probe_read_kernel(&value, sizeof(value), walk->registers + index * sizeof(value));
  if (value - (walk->stack_pointer - CC_REDZONE) >= STACK_KEPT_ANYWAY) {
    emit_memory(walk->crash, value, MEMORY_BEFORE, CC_BYTES_MEMORY);
  }
  return 0;
}

/* Around what each register points to. `registers`: a struct pt_regs of the kernel. */
static __noinline void emit_register_memory(struct crash* crash, void* registers) {
  struct register_walk walk = {.crash = crash, .registers = registers};

  bpf_probe_read_kernel(&walk.stack_pointer, sizeof(walk.stack_pointer),
                        registers + __builtin_offsetof(struct pt_regs, sp));
  bpf_loop(sizeof(struct pt_regs) / sizeof(__u64), register_step, &walk, 0);
}

/* glibc's __abort_msg points to {u32 size, char text[]}: a failed assert(), what malloc and the stack protector found. */
static __noinline void emit_abort_message(struct crash* crash) {
  __u64 variable, message;

  FIND_VARIABLE(variable, "__abort_msg");
  message = variable ? user_word(variable) : 0;
  if (message) {
    emit_memory(crash, message + sizeof(__u32), 0, CC_BYTES_ABORT_MESSAGE);
    for (__u32 i = 1; i < 4; i++) {
      emit_memory(crash, message + sizeof(__u32) + i * CC_MEMORY_BYTES, 0, CC_BYTES_ABORT_MESSAGE);
    }
  }
}

struct exception_walk {
  __u64 slot;   /* address of the next word of the stack */
  __u64 header; /* found: a struct _Unwind_Exception */
};

/* The header of a C++ exception begins with its class, "GNUCC++" and a zero (libstdc++, libsupc++/unwind-cxx.h). */
static long exception_step(__u32 index, struct exception_walk* walk) {
  const __u64 gnu_cpp = 0x474e5543432b2b00ULL;
  __u64 word = user_word(walk->slot), class = 0;

  walk->slot += sizeof(word);
  if (word < CC_PAGE_SIZE || word & 7 || bpf_probe_read_user(&class, sizeof(class), (void*)word) ||
      class != gnu_cpp) {
    return 0;
  }
  walk->header = word;
  return 1;
}

/* Whatever throws or ends on an exception has its header on the stack. Sent are the exception with what is before it
 * (struct __cxa_exception), its type, the name of that, and what the first words of the exception point to. */
static __noinline void emit_exception(struct crash* crash, struct task_struct* task) {
  enum { WORDS = 1024, WORDS_OF_EXCEPTION = 6, HEADER_SIZE = 32 };
  struct exception_walk walk = {};
  __u64 type;

  bpf_probe_read_kernel(&walk.slot, sizeof(walk.slot),
                        (void*)bpf_task_pt_regs(task) + __builtin_offsetof(struct pt_regs, sp));
  bpf_loop(WORDS, exception_step, &walk, 0);
  if (walk.header == 0) {
    return;
  }
  emit_memory(crash, walk.header, CC_EXCEPTION_BEFORE, CC_BYTES_EXCEPTION);
  type = user_word(walk.header - CC_EXCEPTION_BEFORE);
  emit_memory(crash, type, 0, CC_BYTES_MEMORY);
  emit_memory(crash, user_word(type + sizeof(__u64)), 0, CC_BYTES_MEMORY);
  for (__u32 i = 0; i < WORDS_OF_EXCEPTION; i++) {
    emit_memory(crash, user_word(walk.header + HEADER_SIZE + i * sizeof(__u64)), 0,
                CC_BYTES_MEMORY);
  }
}

/* What the dying thread has left to say. */
static __noinline void emit_explanations(struct crash* crash, struct task_struct* task,
                                         bool aborts) {
  if (!belongs_to_caller(task)) {
    return;
  }
  emit_register_memory(crash, (void*)bpf_task_pt_regs(task));
  if (aborts) {
    emit_abort_message(crash);
    emit_exception(crash, task);
  }
}

#endif
