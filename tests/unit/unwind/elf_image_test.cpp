#include "runner/unwind/elf_image.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include "runner/base/vdso.h"
#include "tests/unit/unwind/programs.h"

namespace crashcrawler {
namespace {

using tests::program;

struct Opened {
  UniqueFd fd;
  std::shared_ptr<ElfImage> image;
};

Opened open_image(const std::string& path) {
  Opened opened{UniqueFd(::open(path.c_str(), O_RDONLY | O_CLOEXEC)), nullptr};
  const auto image = ElfImage::open(opened.fd.get(), path, DebugFileSearch());
  EXPECT_TRUE(image) << path << ": " << (image ? "" : image.error().message);
  opened.image = image ? *image : nullptr;
  return opened;
}

TEST(ElfImage, knows_its_identity) {
  const Opened library = open_image(program("libshelf.so"));
  ASSERT_TRUE(library.image);
  EXPECT_EQ(library.image->soname(), "libshelf.so.1");
  EXPECT_EQ(library.image->build_id().size(), 40u) << "a SHA-1";
  EXPECT_EQ(library.image->architecture(), Architecture::x86_64);

  const Opened unidentified = open_image(program("linked"));
  ASSERT_TRUE(unidentified.image);
  EXPECT_EQ(unidentified.image->build_id(), "");
  EXPECT_EQ(unidentified.image->soname(), "");
}

TEST(ElfImage, lists_its_segments) {
  const Opened fixed = open_image(program("fixed_address"));
  ASSERT_TRUE(fixed.image);
  ASSERT_FALSE(fixed.image->segments().empty());
  EXPECT_EQ(fixed.image->segments().front().virtual_address, 0x400000u);
  int executable = 0;
  for (const LoadSegment& segment : fixed.image->segments()) {
    executable += segment.executable;
  }
  EXPECT_EQ(executable, 1);
}

TEST(ElfImage, refuses_what_is_not_an_elf_file) {
  UniqueFd text(::open(tests::source("stacks.cpp").c_str(), O_RDONLY | O_CLOEXEC));
  EXPECT_EQ(ElfImage::open(text.get(), "stacks.cpp", DebugFileSearch()).error().message,
            "it is not an ELF file");
  UniqueFd device(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  EXPECT_EQ(ElfImage::open(device.get(), "/dev/null", DebugFileSearch()).error().message,
            "it is not a regular file");
}

TEST(ElfImage, has_call_frames_where_there_is_code) {
  const Opened opened = open_image(program("optimised"));
  ASSERT_TRUE(opened.image);
  bool found = false;
  for (const LoadSegment& segment : opened.image->segments()) {
    for (uint64_t offset = 0; segment.executable && offset < segment.file_size; ++offset) {
      found = found || opened.image->call_frame(segment.virtual_address + offset) != nullptr;
    }
  }
  EXPECT_TRUE(found);
  EXPECT_FALSE(opened.image->call_frame(0));
  EXPECT_FALSE(opened.image->call_frame(~uint64_t{0}));
}

TEST(ElfImage, reads_the_vdso_of_this_process) {
  const std::string_view bytes = own_vdso_bytes();
  if (bytes.empty()) {
    GTEST_SKIP() << "this machine's kernel gives processes no vdso";
  }
  const auto vdso = ElfImage::in_memory(bytes, "[vdso]", DebugFileSearch());
  ASSERT_TRUE(vdso);
  EXPECT_EQ((*vdso)->soname(), "linux-vdso.so.1");
  bool named = false;
  for (uint64_t address = 0; address < bytes.size(); address += 16) {
    named = named || (*vdso)->resolve(address).function == "__vdso_clock_gettime" ||
            (*vdso)->resolve(address).function == "clock_gettime";
  }
  EXPECT_TRUE(named);
}

}  // namespace
}  // namespace crashcrawler
