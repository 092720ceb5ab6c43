// bpf/crash_event.h as a C compiler lays it out.
#include "tests/abi/layout_table.h"

const struct field_layout c_fields[] = {RECORD_FIELDS(FIELD_ROW){NULL, NULL, 0, 0}};
const struct struct_layout c_structs[] = {RECORD_STRUCTS(STRUCT_ROW){NULL, 0}};
