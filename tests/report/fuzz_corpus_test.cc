// Replays the corpus of the fuzz target through the target's own entry function.
#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

extern "C" int FuzzPublished(const uint8_t* data, size_t size);

namespace lodestone {
namespace {

TEST(FuzzCorpus, EveryPublishedTableIsReadOrRefused) {
  const auto folder = std::filesystem::path(LODESTONE_SOURCE_DIR) / "tests/fuzz/corpus/published";
  int inputs = 0;
  for (const auto& file : std::filesystem::directory_iterator(folder)) {
    std::ifstream stream(file.path(), std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
    EXPECT_EQ(FuzzPublished(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()), 0) << file.path();
    ++inputs;
  }
  EXPECT_GE(inputs, 5) << folder;
}

}  // namespace
}  // namespace lodestone
