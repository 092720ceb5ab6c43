// What SARIF and GitLab's code quality report have in common: a finding has a place and a fingerprint, whatever is known.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "runner/export/formats.h"

namespace crashcrawler {

struct FindingPlace {
  std::string path;  // from the root of the sources
  int line = 1;
};

// The first frame in the sources, else the test, else the name of the program.
FindingPlace finding_place(const ExportedCrash& crash);

// Stays the same from run to run where the signature does. Unique in one export.
std::string fingerprint(const ExportedGroup& group);

std::string json_text(const nlohmann::ordered_json& json);

}  // namespace crashcrawler
