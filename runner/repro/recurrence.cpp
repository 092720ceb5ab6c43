#include "runner/repro/recurrence.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "runner/report/text.h"

namespace crashcrawler {
namespace {

constexpr size_t kShortHash = 8, kLongestCause = 200, kNamed = 10;

// Of crashes with one fingerprint.
struct Group {
  Fingerprint fingerprint;
  std::string id, cause;
  std::set<int64_t> attempts;
};

std::vector<Group> groups_of(const Json& report) {
  std::vector<Group> groups;
  for (const Json& crash : array_at(report, "crashes")) {
    const Fingerprint fingerprint = fingerprint_of(crash);
    auto group = std::ranges::find(groups, fingerprint, &Group::fingerprint);
    if (group == groups.end()) {
      groups.push_back(
          {fingerprint, string_at(crash, {"id"}), string_at(crash, {"crash_info", "cause"}), {}});
      group = std::prev(groups.end());
    }
    group->attempts.insert(number_at(crash, "attempt"));
  }
  // also those of which no record was kept
  for (const Json& signature : array_at(member(report, "attempts"), "signatures")) {
    const Fingerprint fingerprint{string_at(signature, {"algorithm"}),
                                  string_at(signature, {"hash"})};
    const auto group = std::ranges::find(groups, fingerprint, &Group::fingerprint);
    for (const Json& number : array_at(signature, "attempts")) {
      if (group != groups.end() && number.is_number_integer()) {
        group->attempts.insert(number.get<int64_t>());
      }
    }
  }
  return groups;
}

std::string shortened_hash(const std::string& hash) {
  return hash.empty() ? "unknown" : brief(hash.substr(0, kShortHash), kShortHash);
}

std::string attempts_in_words(size_t number) {
  return number == 1 ? "1 attempt" : fmt::format("{} attempts", number);
}

}  // namespace

Recurrence recurrence_of(const Json& report, const Fingerprint& fingerprint) {
  Recurrence recurrence;
  const Json& attempts = member(report, "attempts");
  recurrence.attempts =
      attempts.is_object() ? static_cast<size_t>(std::max<int64_t>(number_at(attempts, "count"), 0))
                           : 1;
  for (Group& group : groups_of(report)) {
    if (group.fingerprint == fingerprint) {
      recurrence.same = group.attempts.size();
      recurrence.same_id = std::move(group.id);
    } else {
      recurrence.others.push_back({std::move(group.id), std::move(group.cause),
                                   std::move(group.fingerprint.hash), group.attempts.size()});
    }
  }
  const Json& collector = member(report, "collector");
  recurrence.backend = string_at(collector, {"backend"});
  const Json& complete = member(member(collector, "health"), "complete");
  recurrence.is_complete = !complete.is_boolean() || complete.get<bool>();
  recurrence.was_interrupted = string_at(attempts, {"ended_by"}) == "interrupt" ||
                               flag_at(member(report, "run"), "interrupted");
  return recurrence;
}

std::vector<std::string> in_words(const Recurrence& recurrence, const Fingerprint& fingerprint,
                                  const std::string& directory) {
  const std::string of_all = attempts_in_words(recurrence.attempts);
  const std::string hash = shortened_hash(fingerprint.hash);
  const auto file = [&](const std::string& id) {
    return brief(directory + "/crashes/" + id + ".txt", kLongestCause);
  };
  std::vector<std::string> lines;
  if (!recurrence.same_id.empty()) {
    lines.push_back(fmt::format("the same crash (fingerprint {}) came back in {} of {}: {}", hash,
                                recurrence.same, of_all, file(recurrence.same_id)));
  } else if (recurrence.others.empty()) {
    lines.push_back(fmt::format("no crash came in {} (fingerprint {})", of_all, hash));
  } else {
    lines.push_back(fmt::format(
        "the crash (fingerprint {}) did not come back in {}; another came instead", hash, of_all));
  }
  for (const OtherCrash& other : recurrence.others) {
    if (&other - recurrence.others.data() == kNamed) {
      lines.push_back(fmt::format("and {} others", recurrence.others.size() - kNamed));
      break;
    }
    lines.push_back(fmt::format("another crash (fingerprint {}) in {} of {}: {}: {}",
                                shortened_hash(other.hash), other.attempts, of_all,
                                brief(other.cause, kLongestCause), file(other.id)));
  }
  return lines;
}

std::vector<std::string> different_files(const RecordedCrash& recorded, const Json& again) {
  std::vector<std::string> lines;
  for (const Json& module : array_at(again, "modules")) {
    const std::string path = string_at(module, {"filename"});
    const std::string build_id = string_at(module, {"build_id"});
    const auto before = std::ranges::find(recorded.modules, path, &RecordedModule::path);
    if (before != recorded.modules.end() && !before->build_id.empty() &&
        before->build_id != build_id) {
      lines.push_back(fmt::format("not as it was: {} had the build-id {}, there it is {}",
                                  brief(path, kLongestCause),
                                  brief(before->build_id, kLongestCause),
                                  build_id.empty() ? "none" : brief(build_id, kLongestCause)));
    }
  }
  return lines;
}

}  // namespace crashcrawler
