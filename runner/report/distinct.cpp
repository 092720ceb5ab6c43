// Grouping by the algorithm's name and the hash: hashes of different rules are never compared.
#include "runner/report/distinct.h"

#include <map>
#include <string>
#include <utility>

namespace crashcrawler {

std::vector<DistinctCrash> distinct_crashes(const Session& session) {
  std::vector<DistinctCrash> all;
  std::map<std::pair<std::string, std::string>, size_t> seen;
  for (const CrashReport& report : session.crashes) {
    if (!is_unexpected(report)) {
      continue;
    }
    const Signature& signature = report.signature;
    if (signature.hash.empty()) {
      all.push_back({{&report}});
      continue;
    }
    const auto [place, is_new] =
        seen.try_emplace({signature.algorithm, signature.hash}, all.size());
    if (is_new) {
      all.emplace_back();
    }
    all[place->second].reports.push_back(&report);
  }
  return all;
}

}  // namespace crashcrawler
