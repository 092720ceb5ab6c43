#include "runner/unwind/in_app.h"

#include <gtest/gtest.h>

namespace crashcrawler {
namespace {

class InApp : public testing::Test {
 protected:
  bool in_app(const std::string& module_path, const std::string& source,
              const std::string& function = "f", const std::string& soname = "") {
    Module module;
    module.path = module_path;
    module.soname = soname;
    Frame frame;
    frame.function = function;
    frame.location.file = source;
    return AppFilter(directories, executable).in_app(frame, &module);
  }

  std::vector<std::string> directories = {"/home/me/app"};
  std::string executable = "/opt/tests/runner";
};

TEST_F(InApp, holds_for_files_and_sources_of_the_program) {
  EXPECT_TRUE(in_app("/home/me/app/build/libapp.so", ""));
  EXPECT_TRUE(in_app("/usr/lib/libplugin.so", "/home/me/app/src/plugin.cpp"));
  EXPECT_FALSE(in_app("/opt/other/libother.so", "/home/you/other.cpp"));
}

TEST_F(InApp, holds_for_the_executable_unless_it_is_the_systems) {
  EXPECT_TRUE(in_app("/opt/tests/runner", ""));
  executable = "/usr/bin/python3.11";
  EXPECT_FALSE(in_app("/usr/bin/python3.11", ""));
}

TEST_F(InApp, never_holds_for_the_language_runtime) {
  directories = {"/"};
  EXPECT_FALSE(in_app("/home/me/app/lib/libc.so.6", "/home/me/app/x.c"));
  EXPECT_FALSE(in_app("/home/me/app/lib/renamed", "", "f", "libstdc++.so.6"));
  EXPECT_FALSE(in_app("[vdso]", ""));
}

TEST_F(InApp, does_not_hold_for_system_code_that_was_compiled_into_the_program) {
  EXPECT_FALSE(in_app("/opt/tests/runner", "/usr/include/c++/12/bits/vector.tcc"));
  EXPECT_FALSE(in_app("/opt/tests/runner", "", "abort")) << "a static program";
  EXPECT_TRUE(in_app("/opt/tests/runner", "/home/me/app/abort.cpp", "abort"));
}

TEST_F(InApp, holds_for_code_of_the_program_inside_system_functions) {
  Module module;
  module.path = "/opt/tests/runner";
  Frame frame;
  frame.location.file = "/usr/include/c++/12/bits/stl_algo.h";
  const AppFilter filter(directories, executable);
  EXPECT_FALSE(filter.in_app(frame, &module));
  frame.inlines.push_back({"lambda", "lambda", {"/home/me/app/sort.cpp", 1, 1}});
  EXPECT_TRUE(filter.in_app(frame, &module));
}

TEST_F(InApp, does_not_hold_outside_of_modules) {
  EXPECT_FALSE(AppFilter(directories, executable).in_app(Frame{}, nullptr));
}

}  // namespace
}  // namespace crashcrawler
