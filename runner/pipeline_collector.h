// The probe or the tracer, and how crashes come from it.
#pragma once

#include <string>

#include "runner/base/result.h"
#include "runner/capture/bpf_source.h"
#include "runner/capture/recording.h"
#include "runner/launch/start_probe.h"
#include "runner/main/options.h"

namespace crashcrawler {

// What is watched besides the command's own tree.
struct Outside {
  std::string cgroup;       // of others; empty: none
  bool containers = false;  // the command starts one
  bool no_command =
      false;  // there is nothing but `cgroup`; the caller is given in place of a held process

  bool any() const { return containers || !cgroup.empty(); }
};

// The running probe, or the tracer. However we leave, it is told, waited for, and by then has removed what it
// made.
class Collector {
 public:
  // Starts the probe, unless it is not wanted; that it could not be started is said by begin().
  explicit Collector(CollectorChoice choice);
  Collector(const Collector&) = delete;
  Collector& operator=(const Collector&) = delete;
  ~Collector() { end(); }

  // Has it watch `held` and everything it becomes; where the probe cannot and that is allowed, has a tracer do so and
  // says why on stderr. Error: what is missing on this machine, and how to get it.
  Result<BpfSource> begin(pid_t held, const RunOptions& options, const Circumstances& circumstances,
                          Recording& recording, const Outside& outside = {});

  // "bpf" or "ptrace"; once begin() has succeeded.
  const std::string& backend() const { return backend_; }

 private:
  void end();
  Result<BpfSource> begin_with_current(pid_t held, const RunOptions& options,
                                       const Circumstances& circumstances, Recording& recording,
                                       const Outside& outside);

  CollectorChoice choice_;
  Result<ProbeProcess> process_;
  std::string backend_ = "bpf";
  bool ended_ = false;
};

}  // namespace crashcrawler
