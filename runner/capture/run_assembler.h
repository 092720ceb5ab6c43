// The probe's messages of one run become what was captured: the same for a live run and for a
// recorded one.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>

#include "runner/capture/alike_crashes.h"
#include "runner/capture/crash_assembler.h"
#include "runner/capture/crash_source.h"
#include "runner/capture/probe_protocol.h"

namespace crashcrawler {

class RunAssembler {
 public:
  explicit RunAssembler(const Circumstances& circumstances);
  RunAssembler(const RunAssembler&) = delete;
  RunAssembler& operator=(const RunAssembler&) = delete;

  // READY, a record or END. The files of a crash are opened the moment it is complete.
  void take(std::string_view message);

  // The root directory of a mount namespace that is told of in a ROOT message.
  void take_root(std::string_view message, UniqueFd root);

  bool has_ended() const { return ended_; }  // END has come
  const std::string& cgroup() const { return cgroup_; }
  pid_t probe_pid() const { return captured_.probe_pid; }

  // From here on only the first `most` crashes of one place are kept whole; 0: all. Of the others their stacks, memory
  // and mappings are dropped and no files are opened.
  void keep_whole(size_t most) { alike_.keep_whole(most); }

  // Copies of what has become complete since the last call.
  std::vector<RawCrash> fresh_crashes() { return assembler_.fresh_crashes(); }
  const PinnedFiles& files() const { return captured_.files; }

  // Nothing more will come. To be called once.
  Captured finish();

 private:
  void take_ready(std::string_view text);

  Captured captured_;
  std::set<uint64_t> mounts_before_;    // the run
  std::map<uint32_t, UniqueFd> roots_;  // of other mount namespaces
  AlikeCrashes alike_;
  CrashAssembler assembler_;
  std::string cgroup_;
  EndMessage totals_{};
  bool ended_ = false;
};

}  // namespace crashcrawler
