// What report.json and the crash records have in common. A field of which nothing is known is not
// written: an empty string or a zero would read as a fact.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "runner/model/session.h"

namespace crashcrawler {

using Json = nlohmann::ordered_json;

inline constexpr size_t kJsonIndent = 1;

void put(Json& object, const char* key, const std::string& value);
void put(Json& object, const char* key, const std::vector<std::string>& values);
void put(Json& object, const char* key, Json value);
void put_positive(Json& object, const char* key, int64_t value);

Json system_info_json(const SystemInfo& system);
Json collector_json(const Session& session);
Json chaos_json(const Repetition& repetition, const Attempt& attempt);

std::string text_of(const Json& json);

}  // namespace crashcrawler
