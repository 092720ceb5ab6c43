#include "runner/export/findings.h"

namespace crashcrawler {

std::string export_gitlab_codequality(const Export& all) {
  nlohmann::ordered_json findings = nlohmann::ordered_json::array();
  for (const ExportedGroup& group : all.groups) {
    const ExportedCrash& crash = *group.crash;
    const std::string occurrence = occurrence_in_words(group, all.runs.size());
    const FindingPlace place = finding_place(crash);
    findings.push_back({{"description", title_of(crash) + ": " + crash.cause +
                                            (occurrence.empty() ? "" : " (" + occurrence + ")")},
                        {"check_name", "crash/" + crash.event},
                        {"fingerprint", fingerprint(group)},
                        {"severity", "critical"},
                        {"location", {{"path", place.path}, {"lines", {{"begin", place.line}}}}}});
  }
  return json_text(findings);
}

}  // namespace crashcrawler
