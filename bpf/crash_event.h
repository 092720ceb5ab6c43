/* SPDX-License-Identifier: MIT OR GPL-2.0-only
 *
 * The contract between the BPF programs and user space: what one captured death looks like as
 * bytes.
 *
 * A death is a train of records with the same key, always in this order:
 *
 *   PROCESS                    identity, siginfo, memory layout             (fatal signal, dying thread)
 *   PARENT*  SENDER?  PATH{exe,cwd,root,cgroup}  BYTES{argv}*  VARIABLE*
 *   THREAD  BYTES{stack}*      the dying thread, then the others as the kernel brings them down
 *   BYTES{text}*               what a sanitizer had to say, where its memory shows it
 *   BYTES{memory, abort message, exception}*   around what registers point to, and what was said before an abort()
 *   FIRST_SIGNAL?  BYTES*      a fault of the dying thread that went to a handler, and the stack it happened on
 *   (PATH{in file system}* PATH{mapping})? MAPPING*   the memory map, once, by whichever thread exits first and can walk it
 *   EXIT                       the verdict, when the last thread is gone
 *
 * When a process exits by itself (CC_CAUSE_EXIT), THREADs of others may come before PROCESS. A process that is looked at
 * alive (CC_CAUSE_TIMEOUT) has a train of the same kind.
 *
 * Records of different processes interleave. A record that did not fit the ring is counted twice:
 * in the global counters (struct cc_counters) and, per process, in EXIT.lost_records, so a reader
 * knows exactly which crash is incomplete. A PROCESS record that did not fit means the whole crash
 * is lost: cc_counters.lost_crashes.
 *
 * Rules for this file: fixed-width types, no hidden padding, nothing but C11 and C++20 both
 * understand. The layout is compared as C, C++ and BTF see it by tests/abi. Any change of layout
 * raises CC_RECORD_VERSION.
 */
#ifndef CRASHCRAWLER_BPF_CRASH_EVENT_H
#define CRASHCRAWLER_BPF_CRASH_EVENT_H

#ifndef __VMLINUX_H__ /* the BPF side brings its own integer types */
#include <linux/types.h>
#endif

#ifdef __cplusplus
#define CC_STATIC_ASSERT static_assert
#else
#define CC_STATIC_ASSERT _Static_assert
#endif

enum cc_limits {
  CC_RECORD_VERSION = 1,
  CC_COMM_SIZE = 16, /* TASK_COMM_LEN */
  CC_PAGE_SIZE =
      4096, /* unit of every read of user memory: one absent page must not lose its neighbours */
  CC_PATH_BYTES = 4096,     /* PATH_MAX: bytes of one PATH record */
  CC_PATH_COMPONENTS = 96,  /* directories deep */
  CC_PARENTS = 16,          /* ancestors walked */
  CC_COMMAND_SIZE = 512,    /* bytes kept of an ancestor's command line */
  CC_AUXV_WORDS = 64,       /* 2 * entries of mm->saved_auxv; 56 on 6.18 */
  CC_SIGINFO_SIZE = 48,     /* the part of siginfo_t the kernel fills (struct kernel_siginfo) */
  CC_ARGV_PAGES = 4,        /* pages of the argument block copied */
  CC_MAPPINGS = 8192,       /* regions of one process sent; the rest is counted */
  CC_VARIABLE_NAME = 32,    /* bytes of the name of an environment variable, its NUL included */
  CC_VARIABLE_SIZE = 1024,  /* bytes kept of "NAME=value" */
  CC_TEXT_BYTES = 16 << 10, /* of a sanitizer's report */
  CC_MEMORY_BYTES = 256,    /* around what a register points to */
  CC_EXCEPTION_BEFORE =
      80, /* of struct __cxa_exception (libstdc++, libsupc++/unwind-cxx.h), which begins with the type */
  CC_DEAD_STACK =
      8 << 10, /* bytes below the stack pointer in which a message just printed may still be read */
  CC_CONTAINER_ID = 64, /* hexadecimal digits */
  CC_CGROUP_NAME = 256, /* NAME_MAX and the NUL */
  CC_REDZONE =
      128, /* bytes below the stack pointer that belong to the frame (System V ABI, AMD64) */
};

enum cc_record_type {
  CC_RECORD_PROCESS = 1,
  CC_RECORD_PARENT = 2,
  CC_RECORD_PATH = 3,
  CC_RECORD_THREAD = 4,
  CC_RECORD_BYTES = 5,
  CC_RECORD_MAPPING = 6,
  CC_RECORD_EXIT = 7,
  CC_RECORD_FIRST_SIGNAL = 8,
  CC_RECORD_SENDER = 9,
  CC_RECORD_VARIABLE = 10,
  CC_RECORD_NAMESPACE = 11,
};

/* The process a record belongs to: thread-group id in the initial pid namespace, and the start time
 * of its leader (CLOCK_BOOTTIME, ns), because a pid alone comes back. `container` is for the probe: the number of the
 * container that the process is in (struct cc_container); 0 for all others, and beyond the probe. */
struct cc_key {
  __u32 tgid;
  __u32 container;
  __u64 start_ns;
};

/* Every record starts with this; size counts the header too. */
struct cc_record {
  __u16 type;    /* enum cc_record_type */
  __u16 version; /* CC_RECORD_VERSION */
  __u32 size;
  struct cc_key key;
};

/* General registers of an x86-64 (or, with cs telling so, IA-32) user context. */
struct cc_registers {
  __u64 r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi;
  __u64 orig_rax, rip, cs, rflags, rsp, ss;
  __u64 fs_base, gs_base;
};

/* Why a train was sent. Whether it was a crash is decided in user space. */
enum cc_cause {
  CC_CAUSE_CORE_SIGNAL = 1, /* default action of a core signal (signal(7)) */
  CC_CAUSE_KILLED =
      2,             /* default action of any other fatal signal; the number is in EXIT.exit_code */
  CC_CAUSE_EXIT = 3, /* exited non-zero by itself, and a fault of this thread had gone to a handler,
                        or the exit was called by something else than the C library */
  CC_CAUSE_TIMEOUT = 4, /* lives, but the time of the run is over */
};

enum cc_memory_withheld {
  CC_MEMORY_GIVEN = 0,
  CC_MEMORY_WITHHELD = 1, /* the process ran with other credentials than the caller's */
  CC_MEMORY_REFUSED = 2,  /* by the kernel, which shows its map */
};

struct cc_process {
  struct cc_record header;
  __u64 time_ns;   /* CLOCK_BOOTTIME at signal delivery */
  __u64 cgroup_id; /* of the dying task: the inode of its cgroup2 directory */
  __u32 tid;       /* thread the signal was delivered to, initial pid namespace */
  __u32 ns_tgid;   /* the same two as the pid namespace of the caller numbers them; 0: not visible
                      there */
  __u32 ns_tid;
  __u32 inner_tgid; /* as the process itself sees its pid */
  __u32 uid, euid, gid;
  __u32 parent_tgid;             /* at death, for the caller; 0: not visible in his pid namespace */
  __u32 pid_level;               /* depth of its pid namespace, 0: initial */
  __u32 mnt_ns;                  /* inode of its mount namespace */
  __u32 signal;                  /* number as delivered */
  __u32 cause;                   /* enum cc_cause */
  __u8 siginfo[CC_SIGINFO_SIZE]; /* siginfo_t as the ABI lays it out */
  __u64 start_code, end_code, start_brk, brk, start_stack;
  __u64 arg_start, arg_end, env_start, env_end;
  __u64 auxv[CC_AUXV_WORDS];
  __u32 auxv_words;
  __u32 memory_withheld; /* enum cc_memory_withheld */
  __u32 session;         /* pid of its session leader, for the caller; 0: not visible there */
  __u32 reserved;
  char comm[CC_COMM_SIZE]; /* of the thread-group leader */
};

/* An ancestor, nearest first: who forked whom, also when the parent died long ago. Ends with the command of the run. */
struct cc_parent {
  struct cc_record header;
  struct cc_key parent;
  __u32 ns_tgid;  /* 0: not visible in the pid namespace of the caller */
  __u32 distance; /* 1: the parent */
  char comm[CC_COMM_SIZE];
  __u32 command_length; /* bytes of `command` that count; 0: not known */
  __u32 reserved;
  char command[CC_COMMAND_SIZE]; /* the argument block as execve(2) left it, cut at this size */
};

enum cc_path_purpose {
  CC_PATH_EXE = 1,
  CC_PATH_CWD = 2,
  CC_PATH_MAPPING = 3,
  CC_PATH_CGROUP = 4,
  CC_PATH_ROOT = 5, /* the root directory of the process, "/" without chroot(2) */
  CC_PATH_IN_FILE_SYSTEM =
      6, /* of the file of the next CC_PATH_MAPPING, when the process was in another mount namespace
                                 than the caller */
};
enum cc_path_flags { CC_PATH_DELETED = 1, CC_PATH_TRUNCATED = 2 };

/* A path as the dentry tree has it, from the caller's root directory, or, in another mount namespace than his, from that
 * of the process: components deepest first, each with its NUL, `length` bytes in
 * all. The record ends after `length` bytes. Written before the first MAPPING of that file.
 *
 * CC_PATH_IN_FILE_SYSTEM begins at the root of the file system itself, wherever that is mounted, and has the inode and the
 * device that the file has there. On overlayfs there are two: where the program has opened it, and in the layer below,
 * which the mapping is of. */
struct cc_path {
  struct cc_record header;
  __u64 inode;
  __u32 device; /* kernel encoding: major << 20 | minor */
  __u16 purpose;
  __u16 flags;
  __u32 components;
  __u32 length;
  char bytes[CC_PATH_BYTES];
};

enum cc_thread_flags { CC_THREAD_CRASHED = 1 };

struct cc_thread {
  struct cc_record header;
  __u32 tid;
  __u32 ns_tid;
  __u32 flags;
  __u32 reserved;
  struct cc_registers registers;
  char comm[CC_COMM_SIZE];
};

enum cc_bytes_purpose {
  CC_BYTES_STACK = 1,
  CC_BYTES_ARGV = 2,
  CC_BYTES_TEXT = 3,
  CC_BYTES_MEMORY = 4,        /* around what something points to */
  CC_BYTES_ABORT_MESSAGE = 5, /* what the C library wrote down before it aborted; ends at a NUL */
  CC_BYTES_EXCEPTION =
      6, /* CC_EXCEPTION_BEFORE bytes, then the struct _Unwind_Exception of a C++ exception */
};

/* `length` bytes of user memory at runtime address `address`; the record ends after them. */
struct cc_bytes {
  struct cc_record header;
  __u64 address;
  __u32 tid; /* whose stack; 0 when the purpose is not a stack */
  __u16 purpose;
  __u16 reserved;
  __u32 length;
  __u32 reserved2;
  __u8 bytes[CC_PAGE_SIZE];
};

/* One environment variable as it was at death, of those whose names the loader was given. Withheld like all memory. */
struct cc_variable {
  struct cc_record header;
  __u32 length; /* bytes of `text` that count, without a NUL; CC_VARIABLE_SIZE - 1: cut */
  __u32 reserved;
  char text[CC_VARIABLE_SIZE]; /* NAME=value */
};

/* Where the variables were found: the C library's `environ`, which setenv(3) changes, or, where there is none (static
 * and 32-bit programs), the block that execve(2) wrote. */
enum cc_environment {
  CC_ENVIRONMENT_NONE = 0,
  CC_ENVIRONMENT_INITIAL = 1,
  CC_ENVIRONMENT_LIVE = 2
};

/* One region of the memory map. With a file, device and inode find its PATH record. */
struct cc_mapping {
  struct cc_record header;
  __u64 start, end;  /* runtime addresses, end exclusive */
  __u64 file_offset; /* bytes */
  __u64 inode;       /* 0: no file */
  __u32 device;
  __u32 flags; /* VM_READ 1, VM_WRITE 2, VM_EXEC 4, VM_SHARED 8 */
};

struct cc_exit {
  struct cc_record header;
  __u64 time_ns;           /* CLOCK_BOOTTIME */
  __s32 exit_code;         /* as wait(2) reports it: status << 8, or signal | 0x80 when dumped */
  __u32 lost_records;      /* of this process, ring full */
  __u32 threads;           /* THREAD records attempted */
  __u32 mappings;          /* regions walked */
  __u32 oom_killed;        /* the kernel chose it as the victim of memory shortage */
  __u32 mappings_state;    /* enum cc_mappings_state */
  __u32 environment;       /* enum cc_environment */
  __u32 mappings_left_out; /* of the regions walked, those beyond CC_MAPPINGS */
  __u32 reserved;
  /* 1: no PROCESS was sent, the THREADs were for nothing: it exited for reasons of its own */
  __u32 called_off;
};

/* Where the handler of a fault has gone. One that runs has its signal frame on the stack; one that has left by
 * siglongjmp(3) has left none, like one that returned, and only rt_sigreturn(2) knows which. */
enum cc_handler {
  CC_HANDLER_UNKNOWN = 0, /* on this kernel rt_sigreturn(2) cannot be watched */
  CC_HANDLER_RETURNED = 1,
  CC_HANDLER_NOT_RETURNED = 2
};

/* The newest core signal of the dying thread that went to a handler. */
struct cc_first_signal {
  struct cc_record header;
  __u32 tid;
  __u32 signal;
  __u64 count; /* such signals of this thread so far */
  __u32
      place_only; /* 1: of `registers` only rip and rsp are known, and no siginfo: the thread takes faults by the thousand */
  __u32 handler;  /* enum cc_handler */
  __u8 siginfo[CC_SIGINFO_SIZE];
  struct cc_registers registers; /* at the fault */
};

/* Who generated the fatal signal. A zero sender: the kernel. */
struct cc_sender {
  struct cc_record header;
  struct cc_key sender;
  __u32 ns_tgid; /* 0: not visible in the pid namespace of the caller */
  __u32 uid;
  __u32 signal;
  __u32 in_tree; /* 1: the sender belonged to the run */
  char comm[CC_COMM_SIZE];
  __u32 command_length;
  __u32
      namespace_end; /* 1: the first process of the pid namespace has ended, so the kernel ended all others */
  char command[CC_COMMAND_SIZE];
};

/* A container whose cgroup was made while we watched, in a map. */
struct cc_container {
  char id[CC_CONTAINER_ID];
  __u32 number; /* from 1 on */
};

/* No part of a train, and for the probe alone: a process outside of the command's tree lives in a mount namespace that was
 * not told of before. It is about to, if it has just been forked. */
struct cc_namespace {
  struct cc_record header;
  __u32 ns_tgid; /* for the caller; 0: not visible in his pid namespace */
  __u32 mnt_ns;  /* inode of its mount namespace */
};

enum cc_mappings_state {
  CC_MAPPINGS_NONE =
      0, /* no hook of this kernel could walk them, or the lock was held every time */
  CC_MAPPINGS_WALKED = 1,
};

/* Totals of one run, in a one-element array map. */
struct cc_counters {
  __u64
      deaths; /* trains begun: fatal signals seen inside the tree, and exits over handled faults */
  __u64
      lost_crashes; /* of those, nothing is known: no state could be had, or PROCESS did not fit */
  __u64 lost_records; /* all records that did not fit, PROCESS included */
  __u64 unlisted;     /* processes of the tree that its list had no room for */
};

CC_STATIC_ASSERT(sizeof(struct cc_key) == 16, "no padding");
CC_STATIC_ASSERT(sizeof(struct cc_record) == 24, "no padding");
CC_STATIC_ASSERT(sizeof(struct cc_registers) == 23 * 8, "no padding");
CC_STATIC_ASSERT(sizeof(struct cc_process) % 8 == 0, "ring records are 8-byte aligned");
CC_STATIC_ASSERT(sizeof(struct cc_bytes) == 24 + 24 + CC_PAGE_SIZE, "no padding");
CC_STATIC_ASSERT(sizeof(struct cc_mapping) == 24 + 40, "no padding");

#endif
