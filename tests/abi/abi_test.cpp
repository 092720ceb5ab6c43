// The kernel/user contract has one layout, whoever compiles it: C, C++ and BPF (read back from
// BTF).
#include <bpf/btf.h>
#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <memory>
#include <string>

extern "C" {
#include "tests/abi/layout_table.h"
extern const field_layout c_fields[];
extern const struct_layout c_structs[];
}

namespace {

const field_layout cpp_fields[] = {RECORD_FIELDS(FIELD_ROW){nullptr, nullptr, 0, 0}};
const struct_layout cpp_structs[] = {RECORD_STRUCTS(STRUCT_ROW){nullptr, 0}};

struct Place {
  size_t offset, size;
  bool operator==(const Place&) const = default;
};
std::ostream& operator<<(std::ostream& out, const Place& place) {
  return out << "offset " << place.offset << ", size " << place.size;
}

using Fields = std::map<std::string, Place>;    // "struct.field"
using Structs = std::map<std::string, size_t>;  // sizes

Fields fields_of(const field_layout* row) {
  Fields fields;
  for (; row->type; ++row) {
    fields[std::string(row->type) + "." + row->field] = {row->offset, row->size};
  }
  return fields;
}

Structs structs_of(const struct_layout* row) {
  Structs structs;
  for (; row->type; ++row) {
    structs[row->type] = row->size;
  }
  return structs;
}

struct FreeBtf {
  void operator()(btf* types) const { btf__free(types); }
};

class Abi : public testing::Test {
 protected:
  void SetUp() override {
    types_.reset(btf__parse_elf(LAYOUT_OBJECT, nullptr));
    ASSERT_NE(types_, nullptr) << LAYOUT_OBJECT;
    for (uint32_t id = 1; id < btf__type_cnt(types_.get()); ++id) {
      const btf_type* type = btf__type_by_id(types_.get(), id);
      const std::string name = btf__name_by_offset(types_.get(), type->name_off);
      if (!btf_is_struct(type) || name.rfind("cc_", 0) != 0) {
        continue;
      }
      btf_structs_[name] = type->size;
      for (uint32_t i = 0; i < btf_vlen(type); ++i) {
        const btf_member* member = btf_members(type) + i;
        const int64_t size = btf__resolve_size(types_.get(), member->type);
        btf_fields_[name + "." + btf__name_by_offset(types_.get(), member->name_off)] = {
            btf_member_bit_offset(type, i) / 8, static_cast<size_t>(size)};
      }
    }
  }

  std::unique_ptr<btf, FreeBtf> types_;
  Fields btf_fields_;
  Structs btf_structs_;
};

TEST_F(Abi, EveryFieldLiesWhereEveryCompilerPutsIt) {
  EXPECT_EQ(fields_of(c_fields), btf_fields_);
  EXPECT_EQ(fields_of(cpp_fields), btf_fields_);
}

TEST_F(Abi, EveryStructHasOneSize) {
  EXPECT_EQ(structs_of(c_structs), btf_structs_);
  EXPECT_EQ(structs_of(cpp_structs), btf_structs_);
}

TEST_F(Abi, NoStructHasHiddenPadding) {
  for (const auto& [name, size] : btf_structs_) {
    size_t filled = 0;
    for (const auto& [field, place] : btf_fields_) {
      filled += field.rfind(name + ".", 0) == 0 ? place.size : 0;
    }
    EXPECT_EQ(filled, size) << name;
  }
}

}  // namespace
