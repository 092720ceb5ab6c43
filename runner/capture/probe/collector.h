// The BPF programs of one run: loaded, attached, drained. The only file that knows libbpf.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "runner/base/result.h"
#include "runner/capture/probe_protocol.h"

namespace crashcrawler {

struct CollectorOptions {
  std::string cgroup;  // directory whose processes are watched; empty: the held process's children
                       // and theirs are followed by fork alone
  pid_t held = 0;      // first process of the tree: watched wherever it and its children move
  bool only_attached = false;  // `held` is the caller, who is not watched
  int attached_cgroup =
      -1;  // open directory of a cgroup whose processes are watched, too; -1: none
  bool watch_containers = false;
  bool outside_is_allowed =
      false;  // the caller may see memory of processes in those two, whoever they run as
  uint32_t crash_stack_bytes = 0, thread_stack_bytes = 0, ring_bytes = 0;
};

using RecordSink = std::function<void(std::string_view record)>;

class Collector {
 public:
  // Loads and attaches; when it returns, nothing that happens in the cgroup is missed any more.
  // Error: what the machine lacks and how to get it, or the kernel's own words.
  static Result<Collector> start(const CollectorOptions& options, RecordSink sink);

  Collector(Collector&&) noexcept;
  Collector& operator=(Collector&&) noexcept;
  ~Collector();

  const std::string& degraded() const;  // what this kernel does not allow, in words; empty: nothing
  int poll_fd() const;                  // readable when there are records
  void drain();                         // hands every record that is in the ring to the sink
  cc_counters counters() const;

  // Without a cgroup: the pids of the processes of the tree that live, as the caller numbers them (0: not visible to
  // him). A process that ends meanwhile may be missing or still there.
  std::vector<int32_t> members() const;

  // The number in the records of the container with this id, whose cgroup was made since start(); 0: none was.
  uint32_t number_of_container(const std::string& id) const;
  // From now on records of this container alone come, of all containers.
  void choose_container(uint32_t number);

  uint64_t missed_runs() const;

 private:
  struct State;
  explicit Collector(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace crashcrawler
