#include "runner/export/findings.h"

namespace crashcrawler {

FindingPlace finding_place(const ExportedCrash& crash) {
  if (const ExportedFrame* frame = place_of(crash)) {
    return {frame->file, frame->line};
  }
  if (!crash.test_file.empty()) {
    return {crash.test_file, std::max(1, crash.test_line)};
  }
  return {crash.program.empty() ? "unknown" : crash.program, 1};
}

std::string fingerprint(const ExportedGroup& group) {
  return group.crash->signature.empty() ? group.runs.front()->folder + "/" + group.crash->id
                                        : group.crash->signature;
}

std::string json_text(const nlohmann::ordered_json& json) {
  return json.dump(1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

}  // namespace crashcrawler
