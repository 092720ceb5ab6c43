// Files and output of others -> their tests; and what can be read can be read again when a crash has been put in.
#include "runner/augment/junit_edit.h"
#include "runner/augment/printed_results.h"
#include "tests/fuzz/fuzz.h"

using namespace crashcrawler;

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text = fuzz::text_of(data, size);
  for (const char* framework : {"googletest", "boost.test", "pytest"}) {
    fuzz::require(read_output(framework, text).tests.size() <= size);
  }
  fuzz::require(read_ctest_log(text).tests.size() <= size);
  output_in_ctest_log(text, "a");
  const Result<JunitDocument> document = read_junit(text);
  if (!document || document->suites.empty()) {
    return 0;
  }
  JunitEditor editor(text, *document);
  if (!document->cases.empty()) {
    editor.put_errors(0, {{"SIGSEGV", "died", "died\n", "[[ATTACHMENT|a]]\n"}});
  }
  NewCase added;
  added.name = "never reached";
  added.state = TestState::skipped;
  editor.add_case(0, added);
  const std::string result = editor.result();
  const Result<JunitDocument> again = read_junit(result);
  fuzz::require(again && again->cases.size() == document->cases.size() + 1);
  return 0;
}
