// An ELF file -> where it says that it comes from, and what is compressed in it.
#include "runner/unwind/elf_handles.h"
#include "runner/unwind/elf_origin.h"
#include "runner/unwind/inflated_file.h"
#include "runner/unwind/mini_debug_file.h"
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
  const auto inflated = InflatedFile::of(elf.get(), bytes);
  fuzz::require(inflated || !inflated.error().message.empty());
  if (inflated && *inflated) {
    (*inflated)->inflate(InflatedFile::Section::info, InflatedFile::kAll);
    (*inflated)->inflate(InflatedFile::Section::line, InflatedFile::kAll);
    std::string copy((*inflated)->bytes());
    const ElfHandle made(elf_memory(copy.data(), copy.size()));
    fuzz::require(made && elf_kind(made.get()) == ELF_K_ELF);
  }
  return 0;
}
