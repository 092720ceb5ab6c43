// Crashes on purpose: Boost.Test, told not to catch it, writes an empty file.
#define BOOST_TEST_MODULE score
#include <boost/test/included/unit_test.hpp>

static void store(int* volatile place) {
  *place = 1;
}

static void save(int* place) {
  store(place);
}

BOOST_AUTO_TEST_SUITE(Score)

BOOST_AUTO_TEST_CASE(passes) {
  BOOST_TEST(1 + 1 == 2);
}

BOOST_AUTO_TEST_CASE(fails) {
  BOOST_TEST(1 == 2);
}

BOOST_AUTO_TEST_CASE(crashes) {
  save(nullptr);
}

BOOST_AUTO_TEST_CASE(is_never_reached) {
  BOOST_TEST(true);
}

BOOST_AUTO_TEST_SUITE_END()
