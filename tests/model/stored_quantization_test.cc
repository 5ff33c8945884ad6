// config.json as this program writes it: for models that had none, and with the block of a quantised directory.
#include <gtest/gtest.h>

#include "model/checkpoint_fixture.h"
#include "model/config.h"
#include "model/packed_checkpoint.h"
#include "test_models.h"

namespace lodestone {
namespace {

using testing::ExpectParts;

ModelConfig ReadBack(const ModelConfig& config) {
  auto read = ParseHuggingFaceConfig(HuggingFaceConfig(config), "config.json");
  EXPECT_TRUE(read.ok()) << config.name << ": " << read.error().message;
  if (!read.ok()) return {};
  read->name = config.name;
  return *std::move(read);
}

TEST(HuggingFaceConfig, EveryShapeOfTheCatalogueReadsBack) {
  const auto models = CatalogModels();
  ASSERT_TRUE(models.ok());
  ASSERT_FALSE(models->empty());
  for (const CatalogModel& model : *models) EXPECT_TRUE(ReadBack(model.config) == model.config) << model.name;
}

TEST(HuggingFaceConfig, RopeScalingWindowsAndTokensReadBack) {
  ModelConfig config = testing::TinyLlama();
  config.rope.llama3_factor = 8;
  config.rope.high_freq_factor = 4;
  config.rope.original_positions = 128;
  config.eos_ids = {2, 7};
  config.bos_id = std::nullopt;
  EXPECT_TRUE(ReadBack(config) == config);
  config.rope = {.rotary_dim = 16, .linear_factor = 2};
  EXPECT_TRUE(ReadBack(config) == config);
  for (const Architecture architecture : {Architecture::kMistral, Architecture::kQwen2}) {
    ModelConfig windowed = testing::TinyLlama();
    windowed.architecture = architecture;
    windowed.qkv_bias = architecture == Architecture::kQwen2;
    EXPECT_TRUE(ReadBack(windowed) == windowed);
    windowed.sliding_window = 64;
    EXPECT_TRUE(ReadBack(windowed) == windowed);
  }
}

TEST(StoredQuantization, TheBlockReadsBack) {
  ModelConfig config = testing::TinyLlama();
  config.stored = {.recipe = "w4a8:g128", .method = "gptq", .byte_tokenizer = true};
  EXPECT_TRUE(ReadBack(config) == config);
  config.stored->byte_tokenizer = false;
  EXPECT_TRUE(ReadBack(config) == config);
}

std::string ErrorWith(const char* key, Json value) {
  ModelConfig config = testing::TinyLlama();
  config.stored = {.recipe = "w4a8", .method = "rtn"};
  Json json = HuggingFaceConfig(config);
  Json block = StoredQuantizationBlock(*config.stored);
  block.Set(key, std::move(value));
  json.Set("quantization_config", std::move(block));
  const auto read = ParseHuggingFaceConfig(json, "config.json");
  return read.ok() ? "accepted" : read.error().message;
}

TEST(StoredQuantization, FaultsOfTheBlockAreNamed) {
  EXPECT_EQ(ErrorWith("method", "rtn"), "accepted");
  ExpectParts(ErrorWith("version", 2), {"quantization_config", "version 1"});
  ExpectParts(ErrorWith("recipe", "w3a3"), {"quantization_config", "w3a3"});
  ExpectParts(ErrorWith("tokenizer", "words"), {"quantization_config", "words", "bytes"});
  ExpectParts(ErrorWith("surprise", 1), {"quantization_config", "surprise"});
  ExpectParts(ErrorWith("quant_method", "awq"), {"quantization_config", "awq", "original"});
}

}  // namespace
}  // namespace lodestone
