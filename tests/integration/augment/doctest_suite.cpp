// Crashes on purpose: doctest writes its file without a stack and without the tests that come later.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>

static void store(int* volatile place) {
  *place = 1;
}

static void save(int* place) {
  store(place);
}

TEST_CASE("passes") {
  REQUIRE(1 + 1 == 2);
}

TEST_CASE("fails") {
  CHECK(1 == 2);
}

TEST_CASE("crashes") {
  save(nullptr);
}

TEST_CASE("is never reached") {
  REQUIRE(true);
}
