"""Runs a command under a seccomp filter that answers EPERM to some system calls, as container engines do.

    refuse_system_calls.py NAME... -- COMMAND...
"""

import ctypes
import errno
import os
import struct
import sys

NUMBERS = {"ptrace": 101, "perf_event_open": 298, "bpf": 321}  # x86-64, asm/unistd_64.h

PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2  # linux/prctl.h, linux/seccomp.h
LOAD_WORD, JUMP_IF_EQUAL, RETURN = 0x20, 0x15, 0x06  # BPF_LD|BPF_W|BPF_ABS, BPF_JMP|BPF_JEQ|BPF_K, BPF_RET|BPF_K
ALLOW, REFUSE = 0x7FFF0000, 0x00050000 | errno.EPERM  # SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO


def filter_for(numbers):
    """Loads the number of the call, and returns REFUSE for those of `numbers`."""
    instructions = [(LOAD_WORD, 0, 0, 0)]
    for number in numbers:
        instructions += [(JUMP_IF_EQUAL, 0, 1, number), (RETURN, 0, 0, REFUSE)]
    instructions.append((RETURN, 0, 0, ALLOW))
    return b"".join(struct.pack("HBBI", *instruction) for instruction in instructions), len(instructions)


def main():
    separator = sys.argv.index("--")
    code, length = filter_for([NUMBERS[name] for name in sys.argv[1:separator]])
    code = ctypes.create_string_buffer(code, len(code))
    program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", length, ctypes.addressof(code)))
    libc = ctypes.CDLL(None, use_errno=True)
    if os.geteuid() != 0:
        libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, program, 0, 0) != 0:
        sys.exit(f"seccomp: {os.strerror(ctypes.get_errno())}")
    os.execvp(sys.argv[separator + 1], sys.argv[separator + 1:])


if __name__ == "__main__":
    main()
