// report.json and crashes/<id>.json; docs/report.schema.json describes both.
#pragma once

#include <string>

#include "runner/model/session.h"

namespace crashcrawler {

inline constexpr const char* kSchemaVersion = "1.0";

// The text of crashes/<id>.json.
std::string crash_json(const CrashReport& report, const Session& session);

// The text of report.json; `crashes` are the texts of crash_json(), one for each crash of the
// session.
std::string report_json(const Session& session, const std::vector<std::string>& crashes);

}  // namespace crashcrawler
