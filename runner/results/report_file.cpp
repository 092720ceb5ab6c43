#include "runner/results/report_file.h"

#include <sys/stat.h>

#include "runner/base/file.h"

namespace crashcrawler {

std::string string_at(const Json& json, std::initializer_list<const char*> keys) {
  const Json* at = &json;
  for (const char* key : keys) {
    at = &member(*at, key);
  }
  return at->is_string() ? at->get<std::string>() : "";
}

const Json& member(const Json& json, const char* key) {
  static const Json kNull;
  const auto found = json.is_object() ? json.find(key) : json.end();
  return json.is_object() && found != json.end() ? *found : kNull;
}

const Json& array_at(const Json& json, const char* key) {
  static const Json kNone = Json::array();
  const Json& found = member(json, key);
  return found.is_array() ? found : kNone;
}

int64_t number_at(const Json& json, const char* key) {
  const Json& found = member(json, key);
  return found.is_number_integer() ? found.get<int64_t>() : 0;
}

bool flag_at(const Json& json, const char* key) {
  const Json& found = member(json, key);
  return found.is_boolean() && found.get<bool>();
}

Result<Json> read_report(const std::string& directory, const Json::parser_callback_t& is_needed,
                         size_t largest) {
  const std::string path = directory + "/report.json";
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0) {
    return Error{errno_error("there is no report: " + path).message +
                 "; name the folder that --output-dir named"};
  }
  if (!S_ISREG(status.st_mode)) {
    return Error{path + " is no regular file"};
  }
  const Result<std::string> text = read_file(path, largest);
  if (!text) {
    return text.error();
  }
  Json json = Json::parse(*text, is_needed, false);
  if (json.is_discarded()) {
    return Error{path + " is cut or damaged: it is no JSON"};
  }
  if (string_at(json, {"collector", "name"}) != "crashcrawler" ||
      !string_at(json, {"schema_version"}).starts_with("1.")) {
    return Error{path + " is no report that this version of crashcrawler can read"};
  }
  return json;
}

}  // namespace crashcrawler
