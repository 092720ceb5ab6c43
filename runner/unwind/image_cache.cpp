#include "runner/unwind/image_cache.h"

#include <algorithm>
#include <vector>

#include "runner/base/vdso.h"

namespace crashcrawler {

namespace {

constexpr uint64_t kPage = 4096;

uint64_t whole_pages(uint64_t size) {
  return (size + kPage - 1) / kPage * kPage;
}

}  // namespace

ImageResult ImageCache::file(const FileKey& key) {
  const auto known = entries_.find(key);
  Entry& entry = known != entries_.end() ? known->second
                                         : entries_.emplace(key, Entry{open(key)}).first->second;
  entry.last_use = ++uses_;
  return entry.image;
}

ImageResult ImageCache::open(const FileKey& key) const {
  const auto pinned = files_.find(key);
  if (pinned == files_.end()) {
    return Error{"it was not opened when the process died"};
  }
  if (!pinned->second.fd) {
    return Error{pinned->second.error.empty() ? "it could not be opened" : pinned->second.error};
  }
  return ElfImage::open(pinned->second.fd.get(), key.path, search_);
}

// The bytes of the dead process's vdso were not captured, but the kernel maps the same image into
// every process of one kind: ours serves for all others. Compared is what can be: the number of
// pages.
ImageResult ImageCache::vdso(Architecture architecture, uint64_t size) {
  if (!own_vdso_) {
    ImageResult image = ElfImage::in_memory(own_vdso_bytes(), "[vdso]", search_);
    if (!image) {
      return image;
    }
    own_vdso_ = *image;
  }
  if (own_vdso_->architecture() != architecture) {
    return Error{"the kernel's image for this architecture is not at hand"};
  }
  if (whole_pages(own_vdso_->bytes().size()) != size) {
    return Error{"it differs from that of the running kernel"};
  }
  return own_vdso_;
}

void ImageCache::trim() {
  struct Idle {
    uint64_t last_use;
    FileKey key;
    size_t size;
  };
  std::vector<Idle> idle;
  size_t total = 0;
  for (const auto& [key, entry] : entries_) {
    if (entry.image) {
      total += (*entry.image)->footprint();
      idle.push_back({entry.last_use, key, (*entry.image)->footprint()});
    }
  }
  if (total <= budget_) {
    return;
  }
  std::sort(idle.begin(), idle.end(),
            [](const Idle& a, const Idle& b) { return a.last_use < b.last_use; });
  for (const Idle& image : idle) {
    if (total <= budget_) {
      break;
    }
    entries_.erase(image.key);
    total -= image.size;
  }
}

}  // namespace crashcrawler
