// Numbers, times, paths and command lines as people and other programs read them.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "runner/base/hex.h"
#include "runner/model/raw_crash.h"

namespace crashcrawler {

// "2025-03-01T12:00:00.125Z"; with seconds only, "2025-03-01T12:00:00" (JUnit takes no more).
std::string iso_time(std::chrono::system_clock::time_point time);
std::string iso_seconds(std::chrono::system_clock::time_point time);

std::string duration_in_words(std::chrono::nanoseconds duration);  // "5.2 s", "3 min 12 s"

std::string counted(uint64_t count, const std::string& singular, const std::string& plural);

std::string base_name(const std::string& path);

// `path` as seen from `directory` when it lies below it, else unchanged. By name only.
std::string path_from(const std::string& path, const std::string& directory);

// `path` made absolute, and then path_from().
std::string output_path_from(const std::string& path, const std::string& directory);

// The arguments as a shell would take them, on one printable line of at most `characters`.
std::string command_line(const std::vector<std::string>& arguments, size_t characters);

// Name and value of every register the architecture has, in the order of its manuals. Empty when
// none was captured.
std::vector<std::pair<const char*, uint64_t>> register_values(const Registers& registers,
                                                              Architecture architecture);

}  // namespace crashcrawler
