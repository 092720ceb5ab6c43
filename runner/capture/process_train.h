// The records of bpf/crash_event.h about a process whose memory can be read and whose threads stand still for us. Who
// looks at a living process and who sees one die send them in the order that is said there.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "bpf/crash_event.h"
#include "runner/capture/proc_files.h"
#include "runner/capture/process_memory.h"

namespace crashcrawler {

using RecordSink = std::function<void(std::string_view record)>;

// How much of a stack is kept: from `below` bytes below the stack pointer, `above` bytes in all above it; so many pages
// that cannot be read, one after the other, are its end.
struct StackPart {
  uint32_t below = CC_REDZONE;
  uint32_t above = 0;
  uint32_t patience = 1 << 30;
};

struct AncestorRecord {
  cc_key key{};
  std::string name;
  std::string command;  // the argument block as execve(2) left it; cut where the record ends
};

class ProcessTrain {
 public:
  // `tid`: a thread of it that has its memory still. Nothing is sent yet.
  ProcessTrain(cc_key key, pid_t tid, RecordSink sink);

  pid_t pid() const { return static_cast<pid_t>(key_.tgid); }
  const std::string& folder() const { return folder_; }
  const std::string& auxv() const { return auxv_; }
  const std::vector<Region>& regions() const { return regions_; }
  const ProcessMemory& memory() const { return memory_; }
  // The process has other credentials than we: of its memory and registers nothing is sent.
  bool is_withheld() const { return withheld_; }

  // An empty record of this process. `Record`: a struct of bpf/crash_event.h.
  template <typename Record>
  Record begin(cc_record_type type) const {
    Record record{};
    record.header = {static_cast<__u16>(type), CC_RECORD_VERSION, sizeof record, key_};
    return record;
  }

  template <typename Record>
  void send(const Record& record) const {
    sink_({reinterpret_cast<const char*>(&record), record.header.size});
  }

  // What proc(5) knows of the process. `tid`: the thread that it is about. Without signal.
  cc_process process(cc_cause cause, pid_t tid) const;
  // Nearest first.
  void send_ancestors(const std::vector<AncestorRecord>& ancestors) const;
  // Executable, folders, cgroup, arguments.
  void send_surroundings() const;
  // To be called once, before send_end().
  void send_environment();
  void send_thread(pid_t tid, uint32_t flags, const StackPart& part,
                   const user_regs_struct& registers) const;
  // In pieces that end with a page: one that is not there must not lose its neighbours.
  void send_memory(cc_bytes_purpose purpose, pid_t tid, uint64_t from, uint64_t to,
                   uint32_t patience = 1 << 30) const;
  void send_regions() const;
  void send_end(size_t threads, int exit_code, bool oom_killed = false) const;

 private:
  void send_path(cc_path_purpose purpose, std::string path, uint32_t device = 0,
                 uint64_t inode = 0) const;
  void send_cgroup() const;
  std::vector<std::string> initial_environment() const;
  std::vector<Region> kept_regions() const;

  cc_key key_;
  std::string folder_;
  RecordSink sink_;
  ProcessMemory memory_;
  Stat stat_;
  std::string status_, auxv_, root_;
  std::vector<Region> regions_;
  cc_environment environment_ = CC_ENVIRONMENT_NONE;
  uint32_t mount_namespace_ = 0;
  bool elsewhere_ = false;  // in another mount namespace than we
  bool withheld_ = false;
  bool refused_ = false;  // the kernel lets us see the map, and not the memory
};

// The start of `text` into a field of a record, which ends in a NUL.
template <size_t Size>
void copy_text(char (&to)[Size], std::string_view text) {
  std::memcpy(to, text.data(), text.size() < Size - 1 ? text.size() : Size - 1);
}

// The start of `block` into a field that is not ended. Returns how many bytes.
template <size_t Size>
uint32_t copy_block(char (&to)[Size], std::string_view block) {
  const size_t length = block.size() < Size ? block.size() : Size;
  std::memcpy(to, block.data(), length);
  return static_cast<uint32_t>(length);
}

static_assert(offsetof(user_regs_struct, gs_base) == offsetof(cc_registers, gs_base));

inline cc_registers record_of(const user_regs_struct& registers) {
  cc_registers record{};
  std::memcpy(&record, &registers, sizeof record);
  return record;
}

}  // namespace crashcrawler
