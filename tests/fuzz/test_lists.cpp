// What a program answers that is asked for its tests -> their names.
#include "runner/attribute/test_case/listed_tests.h"
#include "tests/fuzz/fuzz.h"

using namespace crashcrawler;

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string output(fuzz::text_of(data, size));
  for (const char* framework : {"googletest", "catch2", "doctest", "boost.test", "pytest"}) {
    for (const TestName& test : parse_test_list(framework, output)) {
      fuzz::require(test.name.size() <= size && test.name.find('\n') == std::string::npos);
    }
  }
  return 0;
}
