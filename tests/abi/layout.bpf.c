// bpf/crash_event.h as clang for the BPF target lays it out: the pointers only bring the types into
// the object's BTF.
#include "vmlinux/vmlinux.h"

#include "crash_event.h"
#include "tests/abi/record_fields.h"

#define POINTER(type) const struct type* pointer_to_##type;
RECORD_STRUCTS(POINTER)
