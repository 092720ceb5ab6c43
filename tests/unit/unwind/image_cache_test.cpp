#include "runner/unwind/image_cache.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include "runner/base/vdso.h"
#include "tests/unit/unwind/programs.h"

namespace crashcrawler {
namespace {

using tests::program;

FileKey key_of(const std::string& name) {
  return {0, 0, 1, program(name)};
}

PinnedFiles pin(const std::vector<std::string>& names) {
  PinnedFiles files;
  for (const std::string& name : names) {
    PinnedFile file;
    file.fd.reset(::open(program(name).c_str(), O_RDONLY | O_CLOEXEC));
    files.emplace(key_of(name), std::move(file));
  }
  return files;
}

TEST(ImageCache, opens_a_file_once) {
  const PinnedFiles files = pin({"optimised", "plain"});
  ImageCache cache(files, size_t{1} << 30);
  const ImageResult first = cache.file(key_of("optimised"));
  ASSERT_TRUE(first);
  cache.trim();
  EXPECT_EQ(*cache.file(key_of("optimised")), *first);
  EXPECT_NE(*cache.file(key_of("plain")), *first);
}

TEST(ImageCache, lets_go_of_what_was_used_longest_ago) {
  const PinnedFiles files = pin({"optimised", "plain"});
  ImageCache cache(files, 40000);  // room for one of the two
  const std::weak_ptr<ElfImage> first = *cache.file(key_of("optimised"));
  const std::weak_ptr<ElfImage> second = *cache.file(key_of("plain"));
  EXPECT_EQ(*cache.file(key_of("optimised")), first.lock());
  EXPECT_FALSE(second.expired()) << "only between crashes";
  cache.trim();
  EXPECT_FALSE(first.expired());
  EXPECT_TRUE(second.expired());
}

TEST(ImageCache, says_why_there_is_no_file) {
  PinnedFiles files;
  files[key_of("gone")].error = "No such file or directory";
  files[key_of("silent")];
  ImageCache cache(files, 0);
  EXPECT_EQ(cache.file(key_of("gone")).error().message, "No such file or directory");
  EXPECT_EQ(cache.file(key_of("silent")).error().message, "it could not be opened");
  EXPECT_EQ(cache.file(key_of("unheard_of")).error().message,
            "it was not opened when the process died");
}

TEST(ImageCache, gives_its_own_vdso_only_to_its_like) {
  const size_t size = own_vdso_bytes().size();
  if (size == 0) {
    GTEST_SKIP() << "this machine's kernel gives processes no vdso";
  }
  const uint64_t pages = (size + 4095) / 4096 * 4096;
  const PinnedFiles files;
  ImageCache cache(files, 0);
  ASSERT_TRUE(cache.vdso(Architecture::x86_64, pages));
  EXPECT_EQ(*cache.vdso(Architecture::x86_64, pages), *cache.vdso(Architecture::x86_64, pages));
  EXPECT_FALSE(cache.vdso(Architecture::i386, pages));
  EXPECT_FALSE(cache.vdso(Architecture::x86_64, pages + 4096));
}

}  // namespace
}  // namespace crashcrawler
