// The environment variables of a dead process that are kept. Values may be secret (tokens, passwords in URLs), so this
// is a list of what is wanted, never of what is not: what changes how a program runs, and what names the test.
#pragma once

#include <array>
#include <string_view>

namespace crashcrawler {

constexpr std::array<std::string_view, 63> kEnvironmentNames = {
    // where programs and libraries come from
    "LD_LIBRARY_PATH", "LD_PRELOAD", "LD_AUDIT", "LD_BIND_NOW", "PATH", "PYTHONPATH",
    // how they behave
    "CI", "GLIBC_TUNABLES", "GODEBUG", "GOMAXPROCS", "GOTRACEBACK", "HOME", "JAVA_TOOL_OPTIONS",
    "LANG", "LC_ALL", "MALLOC_ARENA_MAX", "MALLOC_CHECK_", "MALLOC_PERTURB_", "OMP_NUM_THREADS",
    "PWD", "PYTHONFAULTHANDLER", "PYTHONHASHSEED", "QT_QPA_PLATFORM", "DISPLAY", "RUST_BACKTRACE",
    "RUST_MIN_STACK", "RUST_TEST_THREADS", "TERM", "TMPDIR", "TZ", "XDG_RUNTIME_DIR",
    // sanitizers
    "ASAN_OPTIONS", "LSAN_OPTIONS", "MSAN_OPTIONS", "TSAN_OPTIONS", "UBSAN_OPTIONS",
    // which test it is: GoogleTest, CTest, Bazel, nextest, pytest, Catch2, Boost.Test, Meson
    "CRASHCRAWLER_TEST_NAME", "GTEST_FILTER", "GTEST_OUTPUT", "GTEST_RANDOM_SEED", "GTEST_REPEAT",
    "GTEST_SHARD_INDEX", "GTEST_TOTAL_SHARDS", "CTEST_INTERACTIVE_DEBUG_MODE",
    "CTEST_RESOURCE_GROUP_COUNT", "TEST_SHARD_INDEX", "TEST_TOTAL_SHARDS", "TEST_TARGET",
    "TESTBRIDGE_TEST_ONLY", "TEST_RUN_NUMBER", "XML_OUTPUT_FILE", "NEXTEST", "NEXTEST_RUN_ID",
    "NEXTEST_EXECUTION_MODE", "NEXTEST_BINARY_ID", "NEXTEST_TEST_NAME", "NEXTEST_ATTEMPT",
    "PYTEST_CURRENT_TEST", "PYTEST_XDIST_WORKER", "BOOST_TEST_LOG_LEVEL", "BOOST_TEST_RUN_FILTERS",
    "MESON_TEST_ITERATION", "GITHUB_ACTIONS"};

}  // namespace crashcrawler
