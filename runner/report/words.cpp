// Small conversions without any decision in them.
#include "runner/report/words.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <ctime>
#include <filesystem>

#include "runner/report/text.h"

namespace crashcrawler {
namespace {

std::tm utc(std::chrono::system_clock::time_point time) {
  const std::time_t seconds =
      std::chrono::system_clock::to_time_t(std::chrono::floor<std::chrono::seconds>(time));
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  return parts;
}

std::string quoted(const std::string& argument) {
  static constexpr const char* kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789%+,-./:=@_";
  if (!argument.empty() && argument.find_first_not_of(kPlain) == std::string::npos) {
    return argument;
  }
  std::string text = "'";
  for (const char c : argument) {
    text += c == '\'' ? std::string("'\\''") : std::string(1, c);
  }
  return text + "'";
}

}  // namespace

std::string iso_seconds(std::chrono::system_clock::time_point time) {
  const std::tm parts = utc(time);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}", parts.tm_year + 1900, parts.tm_mon + 1,
                     parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec);
}

std::string iso_time(std::chrono::system_clock::time_point time) {
  const auto milliseconds = std::chrono::floor<std::chrono::milliseconds>(time) -
                            std::chrono::floor<std::chrono::seconds>(time);
  return fmt::format("{}.{:03}Z", iso_seconds(time), milliseconds.count());
}

std::string duration_in_words(std::chrono::nanoseconds duration) {
  const double seconds = std::chrono::duration<double>(duration).count();
  if (seconds < 60) {
    return fmt::format("{:.1f} s", seconds);
  }
  const long whole = std::lround(seconds);
  return whole < 3600 ? fmt::format("{} min {} s", whole / 60, whole % 60)
                      : fmt::format("{} h {} min", whole / 3600, whole % 3600 / 60);
}

std::string counted(uint64_t count, const std::string& singular, const std::string& plural) {
  return fmt::format("{} {}", count, count == 1 ? singular : plural);
}

std::string base_name(const std::string& path) {
  return path.substr(path.rfind('/') + 1);
}

std::string path_from(const std::string& path, const std::string& directory) {
  if (!directory.starts_with('/') || !path.starts_with('/')) {
    return path;
  }
  const auto normal = [](const std::string& name) {
    return std::filesystem::path(name).lexically_normal().string();
  };
  std::string below = normal(directory);
  below += below.ends_with('/') ? "" : "/";
  const std::string whole = normal(path);
  return below != "/" && whole.starts_with(below) ? whole.substr(below.size()) : path;
}

std::string output_path_from(const std::string& path, const std::string& directory) {
  std::error_code ignored;
  const std::filesystem::path absolute = std::filesystem::absolute(path, ignored);
  return path_from(absolute.empty() ? path : absolute.lexically_normal().string(), directory);
}

std::string command_line(const std::vector<std::string>& arguments, size_t characters) {
  std::string line;
  for (const std::string& argument : arguments) {
    line += (line.empty() ? "" : " ") + quoted(argument.substr(0, 8 * characters));
    if (line.size() > 8 * characters) {
      break;  // brief() cuts it anyway
    }
  }
  return brief(line, characters);
}

std::vector<std::pair<const char*, uint64_t>> register_values(const Registers& r,
                                                              Architecture architecture) {
  if (r.rip == 0 && r.rsp == 0) {
    return {};  // a running thread has at least a stack
  }
  if (architecture == Architecture::i386) {
    return {{"eip", r.rip}, {"esp", r.rsp}, {"ebp", r.rbp}, {"eax", r.rax}, {"ebx", r.rbx},
            {"ecx", r.rcx}, {"edx", r.rdx}, {"esi", r.rsi}, {"edi", r.rdi}, {"eflags", r.rflags}};
  }
  return {{"rip", r.rip},
          {"rsp", r.rsp},
          {"rbp", r.rbp},
          {"rax", r.rax},
          {"rbx", r.rbx},
          {"rcx", r.rcx},
          {"rdx", r.rdx},
          {"rsi", r.rsi},
          {"rdi", r.rdi},
          {"r8", r.r8},
          {"r9", r.r9},
          {"r10", r.r10},
          {"r11", r.r11},
          {"r12", r.r12},
          {"r13", r.r13},
          {"r14", r.r14},
          {"r15", r.r15},
          {"rflags", r.rflags},
          {"orig_rax", r.orig_rax},
          {"cs", r.cs},
          {"ss", r.ss},
          {"fs_base", r.fs_base},
          {"gs_base", r.gs_base}};
}

}  // namespace crashcrawler
