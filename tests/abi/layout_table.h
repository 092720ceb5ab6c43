// Offsets and sizes of one compiler's view of bpf/crash_event.h. Included by the C and the C++
// table.
#pragma once

#include <stddef.h>

#include "bpf/crash_event.h"
#include "tests/abi/record_fields.h"

struct field_layout {
  const char* type;
  const char* field;
  size_t offset, size;
};

struct struct_layout {
  const char* type;
  size_t size;
};

#define FIELD_ROW(type, field) \
  {#type, #field, offsetof(struct type, field), sizeof(((struct type*)0)->field)},
#define STRUCT_ROW(type) {#type, sizeof(struct type)},
