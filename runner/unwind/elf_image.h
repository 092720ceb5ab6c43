// One parsed ELF file, whichever processes it was mapped into: segments, identity, call frame
// information, names.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runner/base/result.h"
#include "runner/base/unique_fd.h"
#include "runner/model/raw_crash.h"
#include "runner/unwind/debug_files.h"
#include "runner/unwind/elf_handles.h"
#include "runner/unwind/elf_origin.h"
#include "runner/unwind/inflated_file.h"
#include "runner/unwind/symbolizer.h"

namespace crashcrawler {

struct LoadSegment {
  uint64_t file_offset = 0, file_size = 0;
  uint64_t virtual_address = 0;
  bool executable = false;
};

// Addresses are ELF virtual addresses throughout: runtime address minus load bias.
class ElfImage {
 public:
  // `fd` has to stay open as long as the image lives. `path` is where the process had it: separate
  // debug files are looked for beside it.
  static Result<std::shared_ptr<ElfImage>> open(int fd, const std::string& path,
                                                const DebugFileSearch& search);

  // An image that lies in our own memory and stays there.
  static Result<std::shared_ptr<ElfImage>> in_memory(std::string_view bytes,
                                                     const std::string& name,
                                                     const DebugFileSearch& search);

  ElfImage(const ElfImage&) = delete;
  ElfImage& operator=(const ElfImage&) = delete;

  std::optional<Architecture> architecture() const { return architecture_; }
  const std::vector<LoadSegment>& segments() const { return segments_; }
  const std::string& build_id() const { return build_id_; }
  const std::string& soname() const { return soname_; }
  const ElfOrigin& origin() const { return origin_; }
  std::string_view bytes() const { return bytes_; }

  // The row of the call frame table for `address`, from .eh_frame, else .debug_frame; null: none
  // covers it.
  FrameHandle call_frame(uint64_t address);

  // What is known of the code at `address`; stays valid until the next call.
  const ResolvedAddress& resolve(uint64_t address);

  // What was wrong with debug information that is there; empty: nothing, or nobody has asked yet.
  const std::string& complaint() const { return complaint_; }

  // Bytes of address space that the image holds, with its debug file.
  size_t footprint() const;

 private:
  ElfImage(ElfHandle elf, std::string path, DebugFileSearch search);

  void read_header();
  void read_segments();
  void read_identity();
  std::string string_at(uint64_t virtual_address) const;
  void find_debug_information();
  void find_symbols();

  // In the order in which they depend on each other: the last is destroyed first.
  ElfHandle elf_;
  int fd_ = -1;  // none: the image lies in memory
  std::string path_;
  DebugFileSearch search_;
  std::string_view bytes_;
  std::optional<Architecture> architecture_;
  std::vector<LoadSegment> segments_;
  std::string build_id_, soname_;
  ElfOrigin origin_;

  bool looked_for_debug_information_ = false;
  std::string complaint_;
  std::string debug_folder_;  // see folder_of(); of the file that dwarf_ reads
  std::optional<DebugFile> debug_file_;
  std::unique_ptr<InflatedFile>
      inflated_;  // this file or debug_file_, not compressed; null: not needed
  ElfHandle inflated_elf_;
  std::string mini_bytes_;  // empty: not needed
  ElfHandle mini_debug_file_;
  DwarfHandle dwarf_;  // of this file, of debug_file_ or of inflated_elf_
  bool looked_for_eh_frame_ = false;
  CfiHandle eh_frame_;
  std::unique_ptr<Symbolizer> symbolizer_;
};

}  // namespace crashcrawler
