// report.json as a tree, and how to ask it for what may not be there.
#pragma once

#include <cstddef>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <string>

#include "runner/base/result.h"

namespace crashcrawler {

using Json = nlohmann::json;

// `directory`/report.json, without what `is_needed` refuses. At most `largest` bytes; no link is followed. Errors: there
// is no report, it is cut or too large, or it is none of ours.
Result<Json> read_report(const std::string& directory, const Json::parser_callback_t& is_needed,
                         size_t largest);

// The string at the end of `keys`; "" when something on the way is missing or of another type.
std::string string_at(const Json& json, std::initializer_list<const char*> keys);

// The member, or null, an empty array, 0, false, when it is missing or of another type.
const Json& member(const Json& json, const char* key);
const Json& array_at(const Json& json, const char* key);
int64_t number_at(const Json& json, const char* key);
bool flag_at(const Json& json, const char* key);

}  // namespace crashcrawler
