// What stands in a <testcase> for a crash.
#pragma once

#include <string>

namespace crashcrawler {

// All texts are printable UTF-8 and of limited size, not yet escaped.
struct JunitError {
  std::string type;         // "SIGSEGV", "hang", "AddressSanitizer:heap-use-after-free"
  std::string message;      // one line, also the first of the body
  std::string body;         // with the stack
  std::string attachments;  // "[[ATTACHMENT|path]]" lines: the first of the case's system-out
};

}  // namespace crashcrawler
