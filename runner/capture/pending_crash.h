// One crash while its records arrive.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "bpf/crash_event.h"
#include "runner/model/raw_crash.h"

namespace crashcrawler {

struct PendingCrash {
  // `boot_to_wall`: what makes a time of CLOCK_BOOTTIME one of the wall clock.
  PendingCrash(const cc_key& key, std::chrono::nanoseconds boot_to_wall);

  // A record, header included. False: it is cut short. An unknown kind and what is missing is noted.
  bool take(std::string_view record);

  // Puts in place what has come by now; may be called again when more has.
  void finish();

  // Adds to crash.soft_errors, once.
  void note(std::string text);

  // Of a crash of which nobody asks for more than that it happened: frees what it was put together from.
  void let_go();

  RawCrash crash;
  bool completed = false;
  bool called_off = false;  // it was no death to be told of after all

 private:
  struct File {
    std::string path;
    bool deleted = false;
    std::vector<PathInFileSystem> in_file_systems;
  };

  void take(const cc_process& process);
  void take(const cc_parent& parent);
  void take(const cc_path& path, size_t available);
  void take(const cc_thread& thread);
  void take(const cc_bytes& bytes, size_t available);
  void take(const cc_mapping& mapping);
  void take(const cc_first_signal& record);
  void take(const cc_sender& from);
  void take(const cc_variable& variable);
  void take(const cc_exit& exit);
  void split_auxv();
  void split_arguments();

  bool has_process_ = false;
  int sender_signal_ = 0;
  std::chrono::nanoseconds boot_to_wall_;
  std::vector<MemoryRange> argv_, report_, abort_message_;
  std::vector<uint64_t> auxv_;  // as the kernel keeps it
  uint64_t argv_bytes_ = 0;     // of the whole argument block
  std::vector<std::pair<pid_t, std::vector<MemoryRange>>> stacks_;
  std::vector<pid_t> threads_by_host_tid_;
  std::map<std::pair<uint32_t, uint64_t>, File> files_;
  std::vector<PathInFileSystem> in_file_systems_;  // of the file that comes next
};

}  // namespace crashcrawler
