#include "runner/unwind/call_site.h"

#include <gtest/gtest.h>

namespace crashcrawler {
namespace {

constexpr uint64_t kCode = 0x400000;

class CallSite : public testing::Test {
 protected:
  CallSite() {
    Mapping code;
    code.start = kCode;
    code.end = kCode + 0x1000;
    code.readable = code.executable = true;
    Mapping data;
    data.start = kCode + 0x1000;
    data.end = kCode + 0x2000;
    data.readable = data.writable = true;
    crash.mappings = {code, data};
    crash.threads.resize(1);
  }

  // Is the byte behind `code` a return address?
  bool returns_behind(const std::string& code) {
    NoImages none;
    const ModuleMap modules(crash, {}, none);
    AddressSpace memory(crash);
    const std::string bytes = std::string(16, '\x90') + code;
    memory.add_file_bytes(kCode, bytes);
    return is_return_address(kCode + bytes.size(), modules, memory);
  }

  RawCrash crash;
};

TEST_F(CallSite, knows_direct_calls) {
  EXPECT_TRUE(returns_behind(std::string("\xe8\x10\x00\x00\x00", 5)));
  EXPECT_TRUE(returns_behind("\xe8\xf0\xff\xff\xff")) << "backwards";
  EXPECT_FALSE(returns_behind(std::string("\xe8\x00\x00\x00\x70", 5))) << "to where no code is";
  EXPECT_FALSE(returns_behind(std::string("\xe9\x10\x00\x00\x00", 5))) << "a jump";
}

TEST_F(CallSite, knows_all_shapes_of_indirect_calls) {
  EXPECT_TRUE(returns_behind("\xff\xd0")) << "call *%rax";
  EXPECT_TRUE(returns_behind("\x41\xff\xd4")) << "call *%r12";
  EXPECT_TRUE(returns_behind("\xff\x10")) << "call *(%rax)";
  EXPECT_TRUE(returns_behind("\xff\x50\x18")) << "call *24(%rax)";
  EXPECT_TRUE(returns_behind(std::string("\xff\x14\xc5\x00\x00\x00\x00", 7))) << "call *0(,%rax,8)";
  EXPECT_TRUE(returns_behind("\xff\x14\xd8")) << "call *(%rax,%rbx,8)";
  EXPECT_TRUE(returns_behind("\xff\x54\x24\x08")) << "call *8(%rsp)";
  EXPECT_TRUE(returns_behind(std::string("\xff\x15\x00\x20\x00\x00", 6))) << "call *0x2000(%rip)";
  EXPECT_TRUE(returns_behind(std::string("\xff\x90\x00\x02\x00\x00", 6))) << "call *512(%rax)";
  EXPECT_TRUE(returns_behind(std::string("\xff\x94\x24\x00\x01\x00\x00", 7))) << "call *256(%rsp)";
}

TEST_F(CallSite, is_not_taken_in_by_other_instructions) {
  EXPECT_FALSE(returns_behind("\x90\x90\x90\x90\x90\x90\x90"));
  EXPECT_FALSE(returns_behind("\xff\xe0")) << "jmp *%rax";
  EXPECT_FALSE(returns_behind("\xff\x30")) << "push (%rax)";
  EXPECT_FALSE(returns_behind("\xff\x90")) << "cut";
}

TEST_F(CallSite, wants_code) {
  NoImages none;
  const ModuleMap modules(crash, {}, none);
  const AddressSpace memory(crash);
  EXPECT_FALSE(is_return_address(kCode + 0x1800, modules, memory));
  EXPECT_FALSE(is_return_address(0, modules, memory));
  EXPECT_FALSE(is_return_address(kCode, modules, memory)) << "nothing comes before it";
  EXPECT_TRUE(is_return_address(kCode + 0x1000, modules, memory)) << "a call that never returns";
}

TEST_F(CallSite, has_to_believe_code_that_cannot_be_read) {
  NoImages none;
  const ModuleMap modules(crash, {}, none);
  const AddressSpace memory(crash);
  EXPECT_TRUE(is_return_address(kCode + 0x800, modules, memory));
}

}  // namespace
}  // namespace crashcrawler
