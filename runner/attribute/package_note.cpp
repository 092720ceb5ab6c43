#include "runner/attribute/package_note.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace crashcrawler {
namespace {

constexpr size_t kLongestValue = 256;
constexpr ptrdiff_t kDeepest = 64;  // the parser has no limit of its own

std::string text_at(const nlohmann::json& note, const char* key) {
  const auto field = note.find(key);
  const std::string value =
      field != note.end() && field->is_string() ? field->get<std::string>() : "";
  return value.substr(0, kLongestValue);
}

}  // namespace

Result<Package> parse_package_note(const std::string& json) {
  const bool is_deep = std::count_if(json.begin(), json.end(), [](char letter) {
                         return letter == '[' || letter == '{';
                       }) > kDeepest;
  const nlohmann::json note =
      is_deep ? nlohmann::json() : nlohmann::json::parse(json, nullptr, false);
  if (!note.is_object()) {
    return Error{"its .note.package is no JSON object"};
  }
  Package package{text_at(note, "type"), text_at(note, "name"), text_at(note, "version"),
                  text_at(note, "architecture"), ".note.package"};
  if (package.name.empty()) {
    return Error{"its .note.package names no package"};
  }
  return package;
}

}  // namespace crashcrawler
