// Stage 1: --chaos, what makes rare interleavings less rare.
//
// A race is found when one thread is kept from going on at the right place while another one does, or while time passes. Most
// windows are short because a processor is through them in microseconds; so what is needed is a machine that is through them
// in milliseconds, for timers, devices and other processors. Rivals: SIGSTOP and SIGCONT are seen by parents and end system calls
// early; ptrace and cgroup.freeze do the latter, too; all of them would make correct programs fail. Priorities are seen by nobody.
// So the attempt is confined to few processors with a low priority, and a competitor of ours on the same processors lets it go on for
// some ten microseconds and takes the processor for a millisecond, again and again: every thread stops at random places and every window is
// stretched by the quotient. A program that loads is of little interest: most attempts are stopped only while one of their processes has
// several threads, which costs a quarter of the time and finds three times as much. What is gained by that and by the other settings is a matter of luck, so each attempt draws its own.
//
// Competitors are outside of the tree. They take turns between disturbing and leaving alone, so that long attempts end.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>

#include "runner/base/result.h"
#include "runner/model/attempt.h"

namespace crashcrawler {

// What this machine has to disturb with.
struct ChaosMeans {
  int cpus = 1;                     // that we may use
  bool memory = false, io = false;  // controllers that the cgroups of attempts have
};

// The settings of attempt `number`: the same for the same seed and means.
ChaosSettings chaos_settings(uint64_t seed, int number, const ChaosMeans& means);

// Applies to this process what it can do to itself; for a child before its exec. What is not allowed is left out.
void disturb_this_process(const ChaosSettings& settings);

// The disk of a block device as "MAJOR:MINOR": that on which it is a partition, for which the kernel takes no io.max (ENODEV),
// else itself. `sysfs` is another one in tests.
std::string disk_of(dev_t device, const std::string& sysfs = "/sys");

// Writes memory.high and io.max (of the disk below `directory`) of the attempt's cgroup; what could not be written is 0 afterwards.
void press_cgroup(const std::string& cgroup, const std::string& directory, ChaosSettings& settings);

// How many processors we may use.
int usable_cpus();

class Competitors {
 public:
  // Forks what `jobs` attempts at a time need; they wait. To be called before any thread exists.
  static Result<Competitors> start(int jobs);

  Competitors(Competitors&&) noexcept;
  Competitors& operator=(Competitors&&) noexcept;
  ~Competitors();  // they are gone

  // Disturbs the attempt of job `job`; its threads are those of `cgroup`, if that is not empty.
  void begin(int job, const ChaosSettings& settings, const std::string& cgroup);
  void end(int job);

 private:
  struct State;
  explicit Competitors(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace crashcrawler
