// Crashes and hangs on purpose, where a score is saved and where it is awaited.
#define BOOST_TEST_MODULE score
#include <boost/test/unit_test.hpp>

#include "tests/frameworks/score.h"

BOOST_AUTO_TEST_SUITE(Score)

BOOST_AUTO_TEST_CASE(is_the_best) {
  BOOST_CHECK_EQUAL(best_score(), 42);
}

BOOST_AUTO_TEST_CASE(is_wrong) {
  BOOST_CHECK_EQUAL(best_score(), 41);
}

BOOST_AUTO_TEST_CASE(is_refused) {
  BOOST_CHECK(dies_on_purpose());
}

BOOST_AUTO_TEST_CASE(is_saved) {
  finish_game();
}

BOOST_AUTO_TEST_CASE(is_awaited, *boost::unit_test::disabled()) {
  await_score();
}

BOOST_AUTO_TEST_CASE(is_never_reached) {
  BOOST_CHECK_EQUAL(best_score(), 42);
}

BOOST_AUTO_TEST_SUITE_END()
