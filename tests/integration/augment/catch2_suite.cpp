// Crashes on purpose: Catch2 writes its file without a stack, and names a case after the section that crashed.
#define CATCH_CONFIG_MAIN
#include <catch2/catch.hpp>

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

TEST_CASE("crashes in a section", "[.section]") {
  SECTION("deep") {
    save(nullptr);
  }
}
