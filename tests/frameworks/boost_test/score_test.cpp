// Crashes on purpose, in its second test.
#define BOOST_TEST_MODULE score
#include <boost/test/unit_test.hpp>

#include "tests/frameworks/score.h"

BOOST_AUTO_TEST_CASE(is_the_best) {
  BOOST_CHECK_EQUAL(best_score(), 42);
}

BOOST_AUTO_TEST_CASE(is_saved) {
  finish_game();
}
