// A crash that repeats itself ten thousand times needs no ten thousand cores, and making them would take longer than the
// run. So it is decided before anything is made: of each distinct crash the newest few. They are written in turns, the
// newest of every distinct crash first, then the second newest; when the room is used up, the oldest of what is repeated
// has none, and then the oldest at all. Nobody debugs a death on purpose: those have none.
#include "runner/report/cores.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <utility>
#include <vector>

#include "runner/base/file.h"
#include "runner/report/artifact.h"
#include "runner/report/core_file.h"

namespace crashcrawler {
namespace {

constexpr size_t kOfTheSameCrash = 10;
constexpr uint64_t kSmallestCore = 4096;  // with less room left nothing is tried any more
constexpr mode_t kOwnerOnly = 0600;       // it is memory of a process

// All unexpected crashes, the most wanted first; `rank`: how many newer ones of the same crash there are.
struct Candidate {
  size_t rank;
  CrashReport* report;
};

std::vector<Candidate> candidates(std::vector<CrashReport>& crashes) {
  std::map<std::pair<std::string, std::string>, size_t> seen;
  std::vector<Candidate> all;
  for (auto report = crashes.rbegin(); report != crashes.rend(); ++report) {
    if (!is_unexpected(*report)) {
      continue;
    }
    const Signature& signature = report->signature;
    const size_t rank = signature.hash.empty() ? 0 : seen[{signature.algorithm, signature.hash}]++;
    all.push_back({rank, &*report});
  }
  std::ranges::stable_sort(all, {}, &Candidate::rank);
  return all;
}

Result<void> write_core(CrashReport& report, const PinnedFiles& files, uint64_t& room,
                        const std::string& directory) {
  const Error no_room{"there was no room left for it (--core-limit)"};
  if (room < kSmallestCore) {
    return no_room;
  }
  const Result<std::string> core = core_file(report, files);
  if (!core) {
    return core.error();
  }
  if (core->size() > room) {
    return no_room;
  }
  const std::string path = "crashes/" + report.id + ".core";
  if (Result<void> written = write_file_atomically(directory + "/" + path, *core, kOwnerOnly);
      !written) {
    return written;
  }
  room -= core->size();
  report.artifacts.push_back(artifact_of("core", path, *core));
  return {};
}

}  // namespace

void write_cores(Session& session, const PinnedFiles& files, uint64_t limit,
                 const std::string& directory) {
  if (limit == 0) {
    return;
  }
  if (!session.crashes.empty()) {
    std::error_code shown_by_writing;
    std::filesystem::create_directories(directory + "/crashes", shown_by_writing);
  }
  uint64_t room = limit;
  for (const auto& [rank, report] : candidates(session.crashes)) {
    const Result<void> written =
        rank < kOfTheSameCrash
            ? write_core(*report, files, room, directory)
            : Error{fmt::format("{} newer ones of the same crash have one", kOfTheSameCrash)};
    if (!written) {
      report->soft_errors.push_back("there is no core: " + written.error().message);
      ++session.crashes_without_core;
    }
  }
}

bool give_up_cores(Session& session, const std::string& directory) {
  bool had_some = false;
  for (CrashReport& report : session.crashes) {
    const auto core = std::ranges::find(report.artifacts, "core", &Artifact::type);
    std::error_code shown_by_writing;
    if (core != report.artifacts.end() &&
        std::filesystem::remove(directory + "/" + core->path, shown_by_writing)) {
      report.artifacts.erase(core);
      report.soft_errors.push_back("there is no core: the reports needed its room");
      ++session.crashes_without_core;
      had_some = true;
    }
  }
  return had_some;
}

}  // namespace crashcrawler
