// An ELF file -> where it says that it comes from, and what is compressed in it.
#include "runner/unwind/compressed_sections.h"
#include "runner/unwind/elf_handles.h"
#include "runner/unwind/elf_origin.h"
#include "tests/fuzz/fuzz.h"

using namespace crashcrawler;

int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string bytes(fuzz::text_of(data, size));
  elf_version(EV_CURRENT);
  const ElfHandle elf(elf_memory(bytes.data(), bytes.size()));
  if (!elf || elf_kind(elf.get()) != ELF_K_ELF) {
    return 0;
  }
  read_origin(elf.get());
  const auto mini = mini_debug_file(elf.get());
  fuzz::require(mini || !mini.error().message.empty());
  const auto inflated = inflated_debug_file(elf.get(), bytes);
  fuzz::require(inflated || !inflated.error().message.empty());
  if (inflated && *inflated) {
    std::string copy = **inflated;
    const ElfHandle made(elf_memory(copy.data(), copy.size()));
    fuzz::require(made && elf_kind(made.get()) == ELF_K_ELF);
  }
  return 0;
}
