// main() where there is no libFuzzer: every file of the folders named goes through the target once, and, so that a
// corpus of whole inputs says more, once cut in the middle and once with a bit turned.
#include <filesystem>
#include <iostream>

#include "runner/base/file.h"
#include "tests/fuzz/fuzz.h"

namespace {

void run(const std::string& bytes) {
  LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
}

}  // namespace

int main(int count, char** arguments) {
  size_t files = 0;
  for (int i = 1; i < count; ++i) {
    for (const auto& entry : std::filesystem::directory_iterator(arguments[i])) {
      const auto bytes = crashcrawler::read_file(entry.path());
      if (!bytes) {
        std::cerr << bytes.error().message << "\n";
        return 1;
      }
      std::cout << entry.path().string()
                << std::endl;  // before it: the last line names the one that crashed
      run(*bytes);
      run(bytes->substr(0, bytes->size() / 2));
      for (size_t at = 0; at < bytes->size(); at += bytes->size() / 64 + 1) {
        std::string turned = *bytes;
        turned[at] = static_cast<char>(turned[at] ^ 1 << at % 8);
        run(turned);
      }
      ++files;
    }
  }
  if (files == 0) {
    std::cerr << "there is no corpus\n";
    return 1;
  }
  return 0;
}
