// The trial is a run of the pipeline's own steps, with this program as the command: what they can do here,
// crashcrawler-run can, and where they cannot they say why in its words.
#include "runner/main/doctor_command.h"

#include <elf.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "runner/doctor/checks.h"
#include "runner/doctor/diagnosis.h"
#include "runner/doctor/words.h"
#include "runner/doctor/world.h"
#include "runner/launch/start_probe.h"
#include "runner/pipeline_collector.h"
#include "runner/pipeline_steps.h"
#include "runner/unwind/elf_image.h"

namespace crashcrawler {
namespace {

constexpr const char* kOurselves = "/proc/self/exe";

Trial try_collector(CollectorChoice choice) {
  constexpr std::chrono::seconds kPatience{20};
  Trial trial;
  trial.tried = true;
  RunOptions options;
  options.collector = choice;
  options.timeout = kPatience;
  options.command = {{kOurselves, "doctor", "--die"}, "/"};

  Collector collector(choice);
  Recording nothing;
  Result<HeldCommand> command = HeldCommand::start(options.command, kOurselves, false);
  if (!command) {
    trial.error = command.error().message;
    return trial;
  }
  Result<BpfSource> source = collector.begin(command->pid(), options, circumstances_now(), nothing);
  if (!source) {
    trial.error = source.error().message;
    return trial;
  }
  trial.cgroup = source->cgroup();
  if (const Result<void> released = command->release(); !released) {
    trial.error = released.error().message;
    return trial;
  }
  const Result<RunOutcome> outcome =
      supervise(*command, supervision_of(options, source, collector));
  const Captured captured = source->finish();
  trial.degraded = captured.health.degraded;
  trial.captured = std::ranges::any_of(captured.crashes, [&](const RawCrash& crash) {
    return crash.pid == command->pid() && crash.signal.number == SIGABRT;
  });
  if (!trial.captured) {
    trial.error = outcome ? "it died, and nothing was told of it" : outcome.error().message;
  }
  return trial;
}

// ptrace(2) only where it would be used: tracing is not for nothing, and its own check tells whether it is allowed.
Trials try_collectors() {
  Trials trials;
  trials.bpf = try_collector(CollectorChoice::bpf);
  if (!trials.bpf.captured) {
    trials.ptrace = try_collector(CollectorChoice::ptrace);
  }
  return trials;
}

// Whether the first instruction that the file's header names has a line.
bool has_debug_information(const std::string& path) {
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  const auto image = file ? ElfImage::open(file.get(), path, DebugFileSearch())
                          : Result<std::shared_ptr<ElfImage>>(Error{""});
  if (!image || (*image)->bytes().size() < sizeof(Elf64_Ehdr)) {
    return false;
  }
  Elf64_Ehdr header;
  std::memcpy(&header, (*image)->bytes().data(), sizeof header);
  return (*image)->resolve(header.e_entry).location.line > 0;
}

World world_for(const DoctorOptions& options) {
  World world = this_world();
  const Result<std::string> probe = find_probe();
  (probe ? world.probe : world.why_no_probe) = probe ? *probe : probe.error().message;
  world.output_directory = options.output_directory;
  world.has_debug_information = has_debug_information;
  return world;
}

Place place_of(const DoctorOptions& options, const World& world) {
  const auto chosen =
      std::ranges::find_if(kPlaces, [&](Place place) { return options.place == name_of(place); });
  return chosen == kPlaces.end() ? find_place(world) : *chosen;
}

std::string system_words(const World& world) {
  const SystemInfo system = describe_session({}).system;
  return fmt::format("{}, {} {}, {}, {}", system.os_release.empty() ? "unknown" : system.os_release,
                     system.os, system.kernel, system.cpu_arch, world.user_name);
}

[[noreturn]] void die_on_purpose() {
  std::signal(SIGABRT, SIG_DFL);
  std::abort();
}

}  // namespace

int doctor(const DoctorOptions& options) {
  if (options.die) {
    die_on_purpose();
  }
  const World world = world_for(options);
  std::vector<Finding> findings = run_checks(world);
  block_supervised_signals();  // not before: what the checks start would inherit it
  const Trials trials = try_collectors();
  const Diagnosis diagnosis =
      diagnose(world, place_of(options, world), std::move(findings), trials);
  const bool coloured = ::isatty(STDOUT_FILENO) != 0 && world.variable("NO_COLOR").empty();
  const std::string text =
      options.json ? json_of(diagnosis, trials, world, system_words(world), CRASHCRAWLER_VERSION)
                   : text_of(diagnosis, system_words(world), coloured);
  std::fputs(text.c_str(), stdout);
  return diagnosis.exit_status;
}

}  // namespace crashcrawler
