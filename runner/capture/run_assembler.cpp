#include "runner/capture/run_assembler.h"

#include <cstdlib>
#include <cstring>
#include <sstream>
#include <utility>

#include "runner/capture/messages.h"
#include "runner/capture/pin_files.h"

namespace crashcrawler {

RunAssembler::RunAssembler(const Circumstances& circumstances)
    : mounts_before_(mounts_now()),
      assembler_(
          [this](RawCrash& crash) {
            if (alike_.is_wanted_whole(crash)) {
              pin_files(crash, captured_.files, mounts_before_, roots_);
            } else {
              abridge(crash);
            }
          },
          circumstances.boot_to_wall) {
  captured_.wrapper_pid = circumstances.wrapper_pid;
}

void RunAssembler::take(std::string_view message) {
  if (is(ProbeMessage::ready, message)) {
    take_ready(text_of(message));
  } else if (is(ProbeMessage::end, message) && message.size() == sizeof totals_) {
    std::memcpy(&totals_, message.data(), sizeof totals_);
    ended_ = true;
  } else if (is(ProbeMessage::note, message)) {
    captured_.soft_errors.emplace_back(text_of(message));
  } else if (is(ProbeMessage::unwatched, message)) {
    captured_.unwatched = text_of(message);
  } else if (is(ProbeMessage::tree, message) || is(ProbeMessage::looked, message) ||
             is(ProbeMessage::check, message) || is(ProbeMessage::root, message)) {
    // for whoever asked then; in a recording they say nothing
  } else {
    assembler_.feed(message);
  }
}

void RunAssembler::take_root(std::string_view message, UniqueFd root) {
  RootMessage told{};
  if (root && message.size() == sizeof told) {
    std::memcpy(&told, message.data(), sizeof told);
    roots_.insert_or_assign(told.mnt_ns, std::move(root));
  }
}

void RunAssembler::take_ready(std::string_view text) {
  std::istringstream lines{std::string(text)};
  std::getline(lines, cgroup_);
  std::string pid;
  std::getline(lines, pid);
  captured_.probe_pid = static_cast<pid_t>(std::atoi(pid.c_str()));
  std::string degraded;
  std::getline(lines, degraded);
  if (!degraded.empty()) {
    captured_.health.degraded.push_back(degraded);
  }
}

Captured RunAssembler::finish() {
  captured_.crashes = assembler_.take();
  let_go_of_changed_files(captured_.files);
  Health& health = captured_.health;
  health.complete = ended_;
  health.lost_crashes = totals_.counters.lost_crashes;
  health.lost_records = totals_.counters.lost_records;
  if (!ended_) {
    health.degraded.push_back("the collector ended before the run did: later crashes are missing");
  }
  if (totals_.missed_runs > 0) {
    health.degraded.push_back("the kernel skipped " + std::to_string(totals_.missed_runs) +
                              " calls of the collector's programs");
  }
  if (totals_.counters.unlisted > 0) {
    health.degraded.push_back(
        std::to_string(totals_.counters.unlisted) +
        " processes were too many for the list of the living: leftovers may be missing");
  }
  if (assembler_.malformed_records() > 0) {
    health.degraded.push_back(std::to_string(assembler_.malformed_records()) +
                              " records could not be read");
  }
  return std::move(captured_);
}

}  // namespace crashcrawler
