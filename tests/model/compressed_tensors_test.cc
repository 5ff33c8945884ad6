#include "model/compressed_tensors.h"

#include <gtest/gtest.h>

#include <cstring>

#include "base/temporary_folder.h"
#include "model/checkpoint_fixture.h"
#include "model/safetensors.h"
#include "model/safetensors_builder.h"
#include "numerics/rounding.h"
#include "test_models.h"

namespace lodestone {
namespace {

using testing::ExpectParts;
using testing::TemporaryFolder;

ModelConfig OneLayer() {
  ModelConfig config = testing::TinyLlama();
  config.layers = 1;
  config.hidden = 64;
  return config;
}

// One matrix of 16 × 64 in the export of `format`, read back by name.
class Exported {
 public:
  explicit Exported(const Format& format) {
    const ModelConfig config = OneLayer();
    const WeightId norm = {WeightKind::kMlpNorm, 0}, up = {WeightKind::kUp, 0};
    const auto weights = RandomWeights(config, 5);
    auto packed = AllocatePacked({format, 80, 64});
    EXPECT_TRUE(weights->ReadPanels(up, 0, 0, packed->panels(), *packed).ok());
    matrix = *std::move(packed);
    auto writer = CompressedTensorsWriter::Create(folder_.path(), config,
                                                  {{{up, matrix}}, {norm, {WeightKind::kDownInputStep, 0}}});
    EXPECT_TRUE(writer.ok());
    EXPECT_TRUE(writer->Write(up, matrix).ok());
    EXPECT_TRUE(writer->Write(norm, std::vector<float>(64, 1.25f)).ok());
    EXPECT_TRUE(writer->Write({WeightKind::kDownInputStep, 0}, std::vector<float>(1, 1.0f)).ok());
    EXPECT_TRUE(writer->Finish().ok());
    bytes_ = folder_.Read("model.safetensors");
    auto parsed = ParseSafetensors(testing::AsBytes(bytes_), "m");
    EXPECT_TRUE(parsed.ok());
    tensors = *std::move(parsed);
  }

  const TensorView* Find(std::string_view name) const {
    for (const TensorView& tensor : tensors) {
      if (tensor.name == name) return &tensor;
    }
    ADD_FAILURE() << name;
    return nullptr;
  }
  template <typename T>
  T At(std::string_view name, int64_t index) const {
    T value{};
    if (const TensorView* tensor = Find(name)) {
      std::memcpy(&value, tensor->data.data() + index * static_cast<int64_t>(sizeof value), sizeof value);
    }
    return value;
  }

  PackedMatrix matrix;
  std::vector<TensorView> tensors;

 private:
  TemporaryFolder folder_;
  std::string bytes_;
};

const std::string kUpName = "model.layers.0.mlp.up_proj.weight";

TEST(CompressedTensors, Int4ReadsBackAsThePackedValues) {
  for (const Format& format : {Format{Code::kInt4, Scales::kChannel}, Format{Code::kInt4, Scales::kGroup, 32}}) {
    const Exported exported(format);
    ASSERT_EQ(exported.tensors.size(), 4u);
    const int64_t groups = format.group == 0 ? 1 : 2;
    EXPECT_EQ(exported.Find(kUpName + "_packed")->dtype, "I32");
    EXPECT_EQ(exported.Find(kUpName + "_packed")->shape, (std::vector<int64_t>{80, 8}));
    EXPECT_EQ(exported.Find(kUpName + "_scale")->shape, (std::vector<int64_t>{80, groups}));
    EXPECT_EQ(exported.At<int64_t>(kUpName + "_shape", 0), 80);
    EXPECT_EQ(exported.At<int64_t>(kUpName + "_shape", 1), 64);
    for (int o = 0; o < 80; ++o) {
      for (int i = 0; i < 64; ++i) {
        const auto word = exported.At<uint32_t>(kUpName + "_packed", o * 8 + i / 8);
        const int code = static_cast<int>(word >> (4 * (i % 8)) & 15) - 8;
        const auto scale = exported.At<float>(kUpName + "_scale", o * groups + (groups == 1 ? 0 : i / 32));
        // Two roundings, of multiplier × scale and of the product, against one.
        const float expected = UnpackedValue(exported.matrix, o, i);
        ASSERT_NEAR(static_cast<float>(code) * scale, expected, std::abs(expected) * 0x1p-23f) << o << " " << i;
      }
    }
  }
}

TEST(CompressedTensors, Int8ReadsBackAsThePackedValues) {
  const Exported exported({Code::kInt8, Scales::kChannel});
  EXPECT_EQ(exported.Find(kUpName)->dtype, "I8");
  EXPECT_EQ(exported.Find(kUpName)->shape, (std::vector<int64_t>{80, 64}));
  for (int o = 0; o < 80; ++o) {
    const auto scale = exported.At<float>(kUpName + "_scale", o);
    for (int i = 0; i < 64; ++i) {
      const auto code = exported.At<int8_t>(kUpName, o * 64 + i);
      ASSERT_EQ(static_cast<float>(code) * scale, UnpackedValue(exported.matrix, o, i));
    }
  }
}

TEST(CompressedTensors, VectorsAreBf16AndStepsAreLeftOut) {
  const Exported exported({Code::kInt8, Scales::kChannel});
  const std::string name = "model.layers.0.post_attention_layernorm.weight";
  EXPECT_EQ(exported.Find(name)->dtype, "BF16");
  EXPECT_EQ(exported.At<Bf16>(name, 63), FloatToBf16(1.25f));
  EXPECT_EQ(exported.tensors.size(), 3u);
}

TEST(CompressedTensors, TheConfigSaysWhatReadersExpect) {
  const auto recipe = ExportableRecipe(OneLayer(), *ParseRecipe("w4a16:g128"));
  ASSERT_TRUE(recipe.ok());
  EXPECT_EQ(recipe->output_weights, Format{Code::kBf16});
  const Json grouped = CompressedTensorsBlock(*recipe);
  EXPECT_EQ(*grouped.Find("quant_method")->as_string(), "compressed-tensors");
  EXPECT_EQ(*grouped.Find("format")->as_string(), "pack-quantized");
  EXPECT_EQ(grouped.Find("ignore")->Dump(-1), R"(["lm_head"])");
  const Json& group = *grouped.Find("config_groups")->Find("group_0");
  EXPECT_EQ(*group.Find("weights")->Find("num_bits")->as_int(), 4);
  EXPECT_EQ(*group.Find("weights")->Find("strategy")->as_string(), "group");
  EXPECT_EQ(*group.Find("weights")->Find("group_size")->as_int(), 128);
  EXPECT_TRUE(group.Find("input_activations")->is_null());

  const Json int8 = CompressedTensorsBlock(*ParseRecipe("w8a8"));
  EXPECT_EQ(*int8.Find("format")->as_string(), "int-quantized");
  const Json& activations = *int8.Find("config_groups")->Find("group_0")->Find("input_activations");
  EXPECT_EQ(*activations.Find("strategy")->as_string(), "token");
  EXPECT_TRUE(*activations.Find("dynamic")->as_bool());
}

TEST(CompressedTensors, WhatTheLayoutCannotSayIsRefused) {
  const auto message = [](const ModelConfig& config, const char* recipe) {
    const auto exported = ExportableRecipe(config, *ParseRecipe(recipe));
    return exported.ok() ? "accepted" : exported.error().message;
  };
  ExpectParts(message(OneLayer(), "bf16"), {"bf16", "w8a8"});
  ExpectParts(message(testing::TinyGpt2(), "w8a8"), {"gpt2", "transposed"});
  EXPECT_EQ(message(OneLayer(), "w8a8"), "accepted");
  const TemporaryFolder folder;
  const StoredTensors odd = {{{{WeightKind::kUp, 0}, {{Code::kInt4, Scales::kGroup, 128}, 80, 64}}}, {}};
  const auto writer = CompressedTensorsWriter::Create(folder.path(), OneLayer(), odd);
  ASSERT_FALSE(writer.ok());
  ExpectParts(writer.error().message, {"up_proj", "64 inputs", "128"});
}

}  // namespace
}  // namespace lodestone
