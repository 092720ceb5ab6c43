// Reports for the tests of their exports.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "runner/base/file.h"
#include "runner/export/formats.h"
#include "tests/support/temporary_directory.h"

namespace crashcrawler {

using Json = nlohmann::json;

// A frame of the program.
inline Json frame(const std::string& function, const std::string& file, int line) {
  return {{"frame", 0},
          {"module", "/usr/bin/shop"},
          {"module_offset", "0x10"},
          {"function", function},
          {"file", file},
          {"line", line}};
}

// A crash of /sources/src/cart.cpp, with a frame of the C library on top and a second thread.
inline Json crash(const std::string& hash = "abc") {
  const Json library = {{"module", "/lib/libc.so.6"}, {"module_offset", "0x8aeec"}};
  Json inlining = frame("Cart::total()", "/sources/src/cart.cpp", 30);
  inlining["inlines"] =
      Json::array({{{"function", "sum"}, {"file", "/sources/src/cart.cpp"}, {"line", 12}}});
  return {{"id", "0001-shop-SIGSEGV"},
          {"crash_info",
           {{"kind", "signal"},
            {"expected", false},
            {"signal", {{"name", "SIGSEGV"}}},
            {"cause", "nothing is mapped at address 0x0 (null pointer)"}}},
          {"signature", {{"algorithm", "cc1"}, {"hash", hash}}},
          {"test",
           {{"suite", "Shop"}, {"name", "adds"}, {"file", "/sources/tests/shop.cpp"}, {"line", 7}}},
          {"process", {{"executable", {{"path", "/usr/bin/shop"}}}}},
          {"threads",
           {{{"crashed", false}, {"frames", {frame("other_thread", "/sources/src/other.cpp", 1)}}},
            {{"crashed", true},
             {"frames", {library, inlining, frame("main", "/sources/main.cpp", 5)}}}}},
          {"modules", Json::array({{{"filename", "/lib/libc.so.6"}}})}};
}

inline Json report(const std::vector<Json>& crashes) {
  return {{"schema_version", "1.0"},
          {"collector", {{"name", "crashcrawler"}, {"health", {{"lost", 0}}}}},
          {"run", {{"command_args", {"ctest", "-j4"}}, {"exit", {{"code", 8}}}}},
          {"soft_errors", Json::array()},
          {"crashes", crashes}};
}

struct ExportTest : testing::Test {
  TemporaryDirectory directory;
  std::string path = directory.path();
  std::vector<ExportedRun> runs;

  // Reads it as the report of the folder `name`.
  ExportedRun& read(const Json& json, const std::string& name = "out") {
    const std::string folder = path + "/" + name;
    std::filesystem::create_directories(folder);
    EXPECT_TRUE(write_file_atomically(folder + "/report.json", json.dump()));
    runs.push_back(read_run(folder, {"/sources"}));
    runs.back().folder = name;
    return runs.back();
  }

  Export exported() { return Export(runs); }
};

}  // namespace crashcrawler
