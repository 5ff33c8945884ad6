#include "model/model_directory.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <vector>

#include "base/temporary_folder.h"
#include "hash_weights.h"
#include "model/checkpoint_fixture.h"
#include "model/safetensors.h"
#include "numerics/rounding.h"
#include "test_models.h"

namespace lodestone::testing {
namespace {

const ModelConfig kModels[] = {TinyLlama(), TinyGranite(), TinyGpt2(), TinyNeoX()};

// What a config.json can say: no norms of heads beside Granite's multipliers, heads that divide the width.
std::vector<ModelConfig> SayableModels() {
  std::vector<ModelConfig> models(std::begin(kModels), std::end(kModels));
  for (ModelConfig& c : models) {
    c.hidden = c.heads * c.head_dim;
    c.qk_norm = false;
    c.attention_output_bias = c.qkv_bias;
    if (c.architecture != Architecture::kGranite) c.attention_scale = 1 / std::sqrt(c.head_dim);
  }
  return models;
}

// HashWeights without step sizes, and with one value replaced where asked.
class PlainWeights final : public WeightSource {
 public:
  Status ReadRow(const WeightId& id, int64_t row, std::span<float> out) const override {
    LODESTONE_RETURN_IF_ERROR(weights_.ReadRow(id, row, out));
    if (id == spoilt && row == 2) out[1] = HUGE_VALF;
    return {};
  }
  std::string Describe() const override { return "plain"; }

  WeightId spoilt{WeightKind::kQueryStep, 0};

 private:
  HashWeights weights_{3};
};

TEST(WriteCheckpoint, ReadsBackAsItWas) {
  const PlainWeights weights;
  for (const ModelConfig& config : kModels) {
    for (const Code code : {Code::kF32, Code::kBf16}) {
      TemporaryFolder folder;
      const Status status = WriteCheckpoint(folder.path(), config, weights, code);
      ASSERT_TRUE(status.ok()) << status.error().message;
      const auto written = OpenCheckpoint(folder.path().string(), config);
      ASSERT_TRUE(written.ok()) << config.name << ": " << written.error().message;
      for (const WeightId& id : AllWeights(config)) {
        const WeightShape shape = ShapeOf(config, id);
        for (int64_t row = 0; row < shape.rows; ++row) {
          std::vector<float> expected = Row(weights, id, row, static_cast<size_t>(shape.columns));
          for (float& value : expected) {
            if (code == Code::kBf16) value = Bf16ToFloat(FloatToBf16(value));
          }
          ASSERT_EQ(Row(**written, id, row, expected.size()), expected) << config.name << " " << ToString(id);
        }
      }
    }
  }
}

TEST(WriteCheckpoint, UsesTheNamesOfHuggingFace) {
  const PlainWeights weights;
  TemporaryFolder folder;
  ASSERT_TRUE(WriteCheckpoint(folder.path(), TinyGpt2(), weights, Code::kF32).ok());
  const auto model = SafetensorsModel::Open(folder.path().string());
  ASSERT_TRUE(model.ok());
  const TensorView* fused = model->Find("transformer.h.1.attn.c_attn.weight");
  ASSERT_NE(fused, nullptr);
  EXPECT_EQ(fused->shape, (std::vector<int64_t>{48, 192}));
  EXPECT_NE(model->Find("transformer.wpe.weight"), nullptr);
  EXPECT_EQ(model->Find("lm_head.weight"), nullptr);  // tied
}

TEST(WriteCheckpoint, RefusesWhatIsNotFinite) {
  PlainWeights weights;
  weights.spoilt = {WeightKind::kUp, 1};
  TemporaryFolder folder;
  const Status status = WriteCheckpoint(folder.path(), TinyGranite(), weights, Code::kBf16);
  ASSERT_FALSE(status.ok());
  ExpectParts(status.error().message, {"layer 1 up_proj", "row 2", "not finite"});
}

TEST(WriteModelConfig, ReadsBackOrIsRefused) {
  for (ModelConfig config : SayableModels()) {
    TemporaryFolder folder;
    const Status status = WriteModelConfig(folder.path(), HuggingFaceConfig(config), config);
    EXPECT_TRUE(status.ok()) << status.error().message;
    const auto read = LoadModelConfig(folder.path().string());
    ASSERT_TRUE(read.ok()) << read.error().message;
    EXPECT_EQ(read->eos_ids, config.eos_ids);
    config.embedding_multiplier += 1;  // which Granite's configuration alone can say
    const Status other = WriteModelConfig(folder.path(), HuggingFaceConfig(config), config);
    EXPECT_EQ(other.ok(), config.architecture == Architecture::kGranite);
  }
}

TEST(CopyTokenizerFiles, TakesADirectoryOrAFile) {
  const TemporaryFolder folder;
  const auto make = [&](const char* name) {
    std::filesystem::create_directory(folder.path() / name);
    return folder.path() / name;
  };
  const auto from = make("from"), to = make("to"), other = make("other"), empty = make("empty");
  folder.Write("from/tokenizer.json", "{}");
  folder.Write("from/merges.txt", "a b");
  folder.Write("from/model.safetensors", "no tokenizer");
  ASSERT_TRUE(CopyTokenizerFiles(from, to).ok());
  EXPECT_EQ(folder.Read("to/tokenizer.json"), "{}");
  EXPECT_EQ(folder.Read("to/merges.txt"), "a b");
  EXPECT_FALSE(std::filesystem::exists(to / "model.safetensors"));
  ASSERT_TRUE(CopyTokenizerFiles(from / "tokenizer.json", other).ok());
  EXPECT_TRUE(std::filesystem::exists(other / "tokenizer.json"));
  EXPECT_FALSE(std::filesystem::exists(other / "merges.txt"));
  const Status none = CopyTokenizerFiles(empty, other);
  ASSERT_FALSE(none.ok());
  ExpectParts(none.error().message, {"tokenizer.json"});
  EXPECT_FALSE(CopyTokenizerFiles(empty / "nothing", other).ok());
}

}  // namespace
}  // namespace lodestone::testing
