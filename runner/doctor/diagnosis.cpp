#include "runner/doctor/diagnosis.h"

#include <algorithm>
#include <set>

#include "runner/doctor/mending.h"

namespace crashcrawler {
namespace {

// The probe's words where it could make no cgroup (serve.cpp).
bool is_about_cgroup(const std::string& degraded) {
  return degraded.find("followed from fork to fork") != std::string::npos;
}

std::string first_line(const std::string& text) {
  return text.substr(0, text.find('\n'));
}

void settle(Finding& finding) {
  finding.state = State::ok;
  finding.cost.clear();
  finding.needs.clear();
  finding.advice.clear();
}

void overrule(Finding& finding, const Trials& trials) {
  if (finding.part == Part::bpf && trials.bpf.captured) {
    settle(finding);
  }
  if (finding.part == Part::ptrace && trials.ptrace.captured) {
    settle(finding);
  }
  if (finding.part != Part::cgroup || !trials.bpf.captured) {
    return;
  }
  if (!trials.bpf.cgroup.empty()) {
    settle(finding);
    return;
  }
  if (finding.state == State::ok) {
    finding.state = State::limited;
    finding.cost = "what is left of the command's processes is ended one by one";
    finding.needs = {Need::cgroup};
  }
}

Finding told_by(const Trials& trials) {
  Finding finding{.check = "trial"};
  const Trial& trial = trials.bpf.captured ? trials.bpf : trials.ptrace;
  const std::string how = trials.bpf.captured ? "BPF" : "ptrace(2)";
  if (!trial.captured) {
    finding.state = State::missing;
    finding.found =
        "a process that died on purpose was not captured: by BPF: " + first_line(trials.bpf.error) +
        "; by ptrace(2): " + first_line(trials.ptrace.error);
    finding.cost = "nothing can be captured";
    return finding;
  }
  finding.found = "a process that died on purpose was captured by " + how;
  if (!trials.bpf.captured) {
    finding.state = State::limited;
    finding.found += "; by BPF not: " + first_line(trials.bpf.error);
    finding.cost = kCostOfPtrace;
  }
  for (const std::string& degraded :
       trials.bpf.captured ? trial.degraded : std::vector<std::string>()) {
    if (!is_about_cgroup(degraded)) {
      finding.state = State::limited;
      finding.cost += (finding.cost.empty() ? "" : "; ") + degraded;
    }
  }
  return finding;
}

Capture capture_of(const Trials& trials) {
  if (trials.bpf.captured) {
    return trials.bpf.cgroup.empty() ? Capture::bpf_without_cgroup : Capture::bpf;
  }
  return trials.ptrace.captured ? Capture::ptrace : Capture::none;
}

bool keeps_from_running(const Finding& finding) {
  return finding.part == Part::run && finding.state == State::missing;
}

std::string sentence(const Diagnosis& diagnosis) {
  if (diagnosis.exit_status == 2) {
    return diagnosis.capture == Capture::none ? "Nothing can be captured here."
                                              : "crashcrawler-run would not start the command, "
                                                "because its reports cannot be written.";
  }
  std::string limits;
  for (const Finding& finding : diagnosis.findings) {
    if (finding.state != State::ok && finding.part == Part::run && finding.check != "trial") {
      limits += (limits.empty() ? "" : ", ") + finding.check;
    }
  }
  limits = limits.empty() ? "." : "; with limits, see " + limits + ".";
  switch (diagnosis.capture) {
    case Capture::bpf:
      return (diagnosis.exit_status == 0 ? "Full capture: crashes are captured by BPF, in a cgroup"
                                         : "Crashes are captured by BPF, in a cgroup") +
             limits;
    case Capture::bpf_without_cgroup:
      return "Crashes are captured by BPF, without a cgroup (forks are followed)" + limits;
    default:
      return "Crashes are captured by ptrace(2), because BPF cannot be had" + limits;
  }
}

}  // namespace

Diagnosis diagnose(const World& world, Place place, std::vector<Finding> findings,
                   const Trials& trials) {
  Diagnosis diagnosis;
  diagnosis.place = place;
  diagnosis.capture = capture_of(trials);
  for (Finding& finding : findings) {
    overrule(finding, trials);
  }
  findings.push_back(told_by(trials));
  const bool runs = std::ranges::none_of(findings, keeps_from_running);
  const bool all_ok =
      std::ranges::all_of(findings, [](const Finding& one) { return one.state == State::ok; });
  diagnosis.exit_status = diagnosis.capture == Capture::none || !runs   ? 2
                          : diagnosis.capture == Capture::bpf && all_ok ? 0
                                                                        : 1;
  std::set<Need> needs;
  for (const Finding& finding : findings) {
    needs.insert(finding.needs.begin(), finding.needs.end());
    const std::set<Need> own(finding.needs.begin(), finding.needs.end());
    if (!finding.advice.empty() && lines_for(place, own, world).empty()) {
      diagnosis.advice.push_back(finding.check + ": " + finding.advice);
    }
  }
  diagnosis.needs.assign(needs.begin(), needs.end());
  diagnosis.lines = lines_for(place, needs, world);
  diagnosis.findings = std::move(findings);
  diagnosis.verdict = sentence(diagnosis);
  return diagnosis;
}

const char* name_of(Capture capture) {
  switch (capture) {
    case Capture::bpf:
      return "bpf";
    case Capture::bpf_without_cgroup:
      return "bpf-without-cgroup";
    case Capture::ptrace:
      return "ptrace";
    case Capture::none:
      break;
  }
  return "none";
}

const char* name_of(State state) {
  switch (state) {
    case State::ok:
      return "ok";
    case State::limited:
      return "limited";
    case State::missing:
      break;
  }
  return "missing";
}

}  // namespace crashcrawler
