// The first page of a mapped file -> the headers that a core needs: read by the parent, not by the child.
#include "runner/report/core_modules.h"
#include "tests/fuzz/fuzz.h"

using namespace crashcrawler;

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const UniqueFd file = fuzz::file_with(fuzz::text_of(data, size));
  if (const std::optional<ElfHeaders> headers = read_elf_headers(file.get())) {
    fuzz::require(headers->first_page.size() <= 4096);
  }
  return 0;
}
