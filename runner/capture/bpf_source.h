// The crashes of one run as crashcrawler-probe sends them, or the tracer in its place (runner/capture/tracer).
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "runner/base/result.h"
#include "runner/base/unique_fd.h"
#include "runner/capture/crash_source.h"
#include "runner/capture/recording.h"

namespace crashcrawler {

struct CaptureOptions {
  uint32_t crash_stack_bytes = 64 << 10;   // of the crashing thread
  uint32_t thread_stack_bytes = 16 << 10;  // of each other thread
  uint32_t ring_bytes = 16 << 20;
  bool delegate = false;          // the caller may make cgroups below that of the run
  bool only_attached = false;     // no command; `held` is this process and not watched
  bool watch_containers = false;  // that begin meanwhile, see name_container()
  std::string attached_cgroup;    // directory; its processes are watched, too; empty: none
  size_t alike = 0;               // so many crashes of one place are kept whole; 0: all
};

class BpfSource {
 public:
  // Has the probe at the other end of `socket` watch `held`; returns when nothing it becomes can be
  // missed any more. Everything the probe says goes to `recording` as well, which is written to by
  // a thread of ours until finish() has returned. Error: what the probe said, or that it said
  // nothing (its stderr then knows why).
  static Result<BpfSource> begin(UniqueFd socket, pid_t held, const CaptureOptions& options,
                                 const Circumstances& circumstances, Recording& recording);

  BpfSource(BpfSource&&) noexcept;
  BpfSource& operator=(BpfSource&&) noexcept;
  ~BpfSource();

  // Directory of the run's cgroup; empty: none could be made, list_tree() knows who belongs to the run.
  const std::string& cgroup() const;

  // The pids of the processes of the tree that live; 0 for those outside of our pid namespace. Empty too when the probe
  // does not answer. Where there is a cgroup nobody keeps such a list: empty.
  std::vector<pid_t> list_tree();

  // Has the tracer send a train of every process of the tree as it is now, for the probe cannot. Returns what is
  // missing, in words.
  std::vector<std::string> look_at_tree();

  // A record that did not come from the probe, among those that do: from here on it is like them. From any thread.
  void add(std::string_view record);

  // Of the containers that begin during the run, the one with this id (64 hexadecimal digits) is the command's: what
  // crashes in it is captured, from its beginning on, and nothing of others. From any thread.
  void name_container(const std::string& id);

  // SIGKILL to everything in the cgroup.
  void kill_tree();

  // Calls `at` with copies of the crashes that are complete by now and that it was not called with before, if there are
  // any, and with the files of all. Who has been waited for when this is called is among them.
  void look(const std::function<void(std::vector<RawCrash>, const PinnedFiles&, pid_t probe)>& at);

  // The run is over: waits for the last record and returns everything. To be called once.
  Captured finish();

 private:
  struct State;
  explicit BpfSource(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace crashcrawler
