// Replays the corpora of the fuzz targets through the targets' own entry functions.
#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

extern "C" {
int Fuzz_safetensors(const uint8_t* data, size_t size);
int Fuzz_gguf(const uint8_t* data, size_t size);
int Fuzz_config(const uint8_t* data, size_t size);
int Fuzz_catalog(const uint8_t* data, size_t size);
}

namespace lodestone {
namespace {

using Entry = int (*)(const uint8_t*, size_t);

class FuzzCorpusTest : public ::testing::TestWithParam<std::pair<const char*, Entry>> {};

TEST_P(FuzzCorpusTest, EveryInputIsReadOrRefused) {
  const auto& [name, entry] = GetParam();
  const auto folder = std::filesystem::path(LODESTONE_SOURCE_DIR) / "tests/fuzz/corpus" / name;
  int inputs = 0;
  for (const auto& file : std::filesystem::directory_iterator(folder)) {
    std::ifstream stream(file.path(), std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
    EXPECT_EQ(entry(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()), 0) << file.path();
    ++inputs;
  }
  EXPECT_GE(inputs, 5) << folder;
}

INSTANTIATE_TEST_SUITE_P(Model, FuzzCorpusTest,
                         ::testing::Values(std::pair<const char*, Entry>{"safetensors", Fuzz_safetensors},
                                           std::pair<const char*, Entry>{"gguf", Fuzz_gguf},
                                           std::pair<const char*, Entry>{"config", Fuzz_config},
                                           std::pair<const char*, Entry>{"catalog", Fuzz_catalog}),
                         [](const auto& test) { return test.param.first; });

}  // namespace
}  // namespace lodestone
