// The source lines around a place, as far as the file can be read where the debug information says it is.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <tuple>

#include "runner/model/backtrace.h"

namespace crashcrawler {

class SourceFiles {
 public:
  // The line of `location` and its two neighbours. `program_modified_ns`: when the module that names it was written, ns
  // since 1970, 0: unknown. Null: no line, or no regular file of less than 4 MiB that has it. Read once per place.
  std::shared_ptr<const SourceText> around(const SourceLocation& location,
                                           int64_t program_modified_ns);

 private:
  std::map<std::tuple<std::string, int, int64_t>, std::shared_ptr<const SourceText>> known_;
};

}  // namespace crashcrawler
