// Parsed ELF files, shared by all crashes of one call.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>

#include "runner/base/result.h"
#include "runner/model/pinned_files.h"
#include "runner/unwind/debug_files.h"
#include "runner/unwind/elf_image.h"

namespace crashcrawler {

using ImageResult = Result<std::shared_ptr<ElfImage>>;

// Where modules get their files from.
class ImageSource {
 public:
  virtual ~ImageSource() = default;

  // The file of a mapping; the error says why there is none.
  virtual ImageResult file(const FileKey& key) = 0;

  // The vdso of a process of `architecture`, `size` bytes of which were mapped.
  virtual ImageResult vdso(Architecture architecture, uint64_t size) = 0;
};

// Knows no file: what the parent uses when the child that could have opened them is dead.
class NoImages : public ImageSource {
 public:
  ImageResult file(const FileKey&) override { return Error{"it was not opened"}; }
  ImageResult vdso(Architecture, uint64_t) override { return Error{"it was not opened"}; }
};

class ImageCache : public ImageSource {
 public:
  // Files that are not in use are closed, oldest use first, while all together hold more than
  // `budget` bytes.
  ImageCache(const PinnedFiles& files, size_t budget, DebugFileSearch search = DebugFileSearch())
      : files_(files), budget_(budget), search_(std::move(search)) {}

  ImageResult file(const FileKey& key) override;
  ImageResult vdso(Architecture architecture, uint64_t size) override;

  // To be called between crashes.
  void trim();

 private:
  struct Entry {
    ImageResult image;
    uint64_t last_use = 0;
  };

  ImageResult open(const FileKey& key) const;

  const PinnedFiles& files_;
  size_t budget_;
  DebugFileSearch search_;
  std::map<FileKey, Entry> entries_;
  std::shared_ptr<ElfImage> own_vdso_;
  uint64_t uses_ = 0;
};

}  // namespace crashcrawler
