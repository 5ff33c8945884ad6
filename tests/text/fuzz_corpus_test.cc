#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <string>

#include "base/file.h"

extern "C" int FuzzTokenizer(const uint8_t* data, size_t size);

namespace lodestone {
namespace {

constexpr size_t kMaxSeedBytes = 1 << 20;

TEST(TokenizerFuzzCorpus, EverySeedIsReadOrRefused) {
  int seeds = 0;
  const auto folder = std::filesystem::path(LODESTONE_SOURCE_DIR) / "tests/fuzz/corpus/tokenizer";
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    SCOPED_TRACE(entry.path().filename().string());
    const Result<std::string> text = ReadFile(entry.path(), kMaxSeedBytes);
    ASSERT_TRUE(text.ok()) << text.error().message;
    EXPECT_EQ(FuzzTokenizer(reinterpret_cast<const uint8_t*>(text->data()), text->size()), 0);
    ++seeds;
  }
  EXPECT_GE(seeds, 10);
}

}  // namespace
}  // namespace lodestone
