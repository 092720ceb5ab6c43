// Records as the BPF programs would send them, made by hand.
#pragma once

#include <cstring>
#include <string>
#include <string_view>

#include "bpf/crash_event.h"

namespace crashcrawler {

constexpr cc_key kKey{4711, 0, 1'000'000};

template <typename Record>
Record record_of(cc_record_type type, const cc_key& key = kKey) {
  Record record{};
  record.header = {static_cast<__u16>(type), CC_RECORD_VERSION, sizeof(Record), key};
  return record;
}

template <typename Record>
std::string bytes_of(const Record& record) {
  return {reinterpret_cast<const char*>(&record), sizeof record};
}

inline std::string process_record(int signal = 11, const cc_key& key = kKey) {
  auto process = record_of<cc_process>(CC_RECORD_PROCESS, key);
  process.tid = key.tgid;
  process.signal = static_cast<__u32>(signal);
  const int code = 1;                         // SEGV_MAPERR
  const unsigned long long address = 0xbeef;  // si_addr
  std::memcpy(process.siginfo, &signal, 4);
  std::memcpy(process.siginfo + 8, &code, 4);
  std::memcpy(process.siginfo + 16, &address, 8);
  process.arg_start = 0x7000;
  process.arg_end = 0x7008;
  process.auxv[0] = 3;  // AT_PHDR
  process.auxv[1] = 0x400040;
  process.auxv_words = CC_AUXV_WORDS;
  std::memcpy(process.comm, "victim", 7);
  return bytes_of(process);
}

inline std::string thread_record(__u32 tid, bool crashed, __u64 stack_pointer,
                                 const cc_key& key = kKey) {
  auto thread = record_of<cc_thread>(CC_RECORD_THREAD, key);
  thread.tid = tid;
  thread.flags = crashed ? CC_THREAD_CRASHED : 0;
  thread.registers.rsp = stack_pointer;
  thread.registers.cs = 0x33;
  return bytes_of(thread);
}

inline std::string bytes_record(cc_bytes_purpose purpose, __u32 tid, __u64 address,
                                std::string_view bytes, const cc_key& key = kKey) {
  auto record = record_of<cc_bytes>(CC_RECORD_BYTES, key);
  record.address = address;
  record.tid = tid;
  record.purpose = static_cast<__u16>(purpose);
  record.length = static_cast<__u32>(bytes.size());
  std::memcpy(record.bytes, bytes.data(), bytes.size());
  return bytes_of(record);
}

// `components`: deepest first, each with its NUL, as the kernel side writes them.
inline std::string path_record(cc_path_purpose purpose, std::string_view components,
                               __u32 device = 0, __u64 inode = 0, __u16 flags = 0,
                               const cc_key& key = kKey) {
  auto record = record_of<cc_path>(CC_RECORD_PATH, key);
  record.device = device;
  record.inode = inode;
  record.purpose = static_cast<__u16>(purpose);
  record.flags = flags;
  record.length = static_cast<__u32>(components.size());
  std::memcpy(record.bytes, components.data(), components.size());
  record.header.size =
      static_cast<__u32>((offsetof(cc_path, bytes) + components.size() + 7) & ~size_t{7});
  return bytes_of(record).substr(0, record.header.size);
}

inline std::string variable_record(std::string_view text, const cc_key& key = kKey) {
  auto record = record_of<cc_variable>(CC_RECORD_VARIABLE, key);
  record.length = static_cast<__u32>(text.size());
  std::memcpy(record.text, text.data(), text.size());
  return bytes_of(record);
}

inline std::string mapping_record(__u64 start, __u64 end, __u32 device, __u64 inode,
                                  const cc_key& key = kKey) {
  auto mapping = record_of<cc_mapping>(CC_RECORD_MAPPING, key);
  mapping.start = start;
  mapping.end = end;
  mapping.device = device;
  mapping.inode = inode;
  mapping.flags = 1 | 4;  // readable, executable
  return bytes_of(mapping);
}

inline std::string exit_record(int wait_status = 0x8b, const cc_key& key = kKey) {
  auto exit = record_of<cc_exit>(CC_RECORD_EXIT, key);
  exit.exit_code = wait_status;
  exit.mappings_state = CC_MAPPINGS_WALKED;
  return bytes_of(exit);
}

}  // namespace crashcrawler
