#include "runner/report/artifact.h"

#include <fmt/format.h>
#include <nettle/sha2.h>

#include <array>

namespace crashcrawler {
namespace {

std::string sha256(std::string_view bytes) {
  sha256_ctx context;
  sha256_init(&context);
  sha256_update(&context, bytes.size(), reinterpret_cast<const uint8_t*>(bytes.data()));
  std::array<uint8_t, SHA256_DIGEST_SIZE> digest;
  sha256_digest(&context, digest.size(), digest.data());
  std::string text;
  for (const uint8_t byte : digest) {
    text += fmt::format("{:02x}", byte);
  }
  return text;
}

}  // namespace

Artifact artifact_of(const std::string& type, const std::string& path, std::string_view bytes) {
  return {type, path, bytes.size(), sha256(bytes)};
}

}  // namespace crashcrawler
