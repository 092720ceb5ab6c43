// ELF files as bytes that a test may turn.
#pragma once

#include <gelf.h>
#include <gtest/gtest.h>

#include <string>

#include "runner/base/file.h"
#include "runner/unwind/elf_handles.h"
#include "tests/unit/unwind/programs.h"

namespace crashcrawler::tests {

// Of the program `name`.
inline std::string bytes_of(const std::string& name) {
  const Result<std::string> bytes = read_file(program(name));
  EXPECT_TRUE(bytes) << name;
  return bytes ? *bytes : "";
}

// A handle to the bytes, which have to stay.
inline ElfHandle elf_in(std::string& bytes) {
  elf_version(EV_CURRENT);
  return ElfHandle(elf_memory(bytes.data(), bytes.size()));
}

// Where the section `name` lies in the file.
inline GElf_Shdr section_of(std::string& bytes, const std::string& name) {
  const ElfHandle elf = elf_in(bytes);
  size_t names = 0;
  elf_getshdrstrndx(elf.get(), &names);
  Elf_Scn* section = nullptr;
  while ((section = elf_nextscn(elf.get(), section)) != nullptr) {
    GElf_Shdr header;
    if (gelf_getshdr(section, &header) != nullptr &&
        name == elf_strptr(elf.get(), names, header.sh_name)) {
      return header;
    }
  }
  ADD_FAILURE() << "no section " << name;
  return {};
}

}  // namespace crashcrawler::tests
