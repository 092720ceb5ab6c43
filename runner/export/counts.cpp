#include <fmt/format.h>

#include "runner/export/formats.h"

namespace crashcrawler {

std::string export_counts(const Export& all) {
  return fmt::format("crash-count={}\nunique-crash-count={}\nexpected-crash-count={}\n",
                     all.counts.crashes, all.counts.unique, all.counts.expected);
}

}  // namespace crashcrawler
