#include "learn/parameters.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <set>
#include <string>

#include "hash_weights.h"
#include "learn/training_model.h"
#include "numerics/packed_matrix.h"
#include "test_models.h"

namespace lodestone {
namespace {

using testing::HashWeights;
using testing::TinyGpt2;
using testing::TinyGranite;
using testing::TinyLlama;

Parameters MakeParameters(const ModelConfig& config, const std::string& recipe) {
  return *Parameters::Make(config, *ParseRecipe(recipe));
}

TEST(ParametersTest, EveryTensorLiesOnceInTheOrderOfComputation) {
  for (const ModelConfig& config : testing::TrainingConfigs()) {
    const Parameters parameters = MakeParameters(config, "f32");
    const std::vector<WeightId> ids = AllWeights(config);
    ASSERT_EQ(parameters.list().size(), ids.size());
    int64_t end = 0;
    for (size_t i = 0; i < ids.size(); ++i) {
      const Parameter& p = parameters.list()[i];
      const WeightShape shape = ShapeOf(config, ids[i]);
      EXPECT_TRUE(p.id == ids[i] && p.rows == shape.rows && p.columns == shape.columns) << ToString(p.id);
      EXPECT_EQ(p.role, ParameterRole::kTensor);
      EXPECT_EQ(p.offset % 16, 0);
      EXPECT_GE(p.offset, end);
      EXPECT_LT(p.offset, end + 16);
      end = p.offset + p.count();
    }
    EXPECT_GE(static_cast<int64_t>(parameters.all_values().size()), end);
    EXPECT_LT(static_cast<int64_t>(parameters.all_values().size()), end + 16);
    EXPECT_EQ(parameters.Find({WeightKind::kGate, config.layers}, ParameterRole::kTensor), nullptr);
  }
}

TEST(ParametersTest, StepsStandBehindTheTensorsOfTheirLayer) {
  const ModelConfig config = TinyGranite();  // tied
  const Parameters parameters = MakeParameters(config, "w4a4:static");
  int layer = -1, activation_steps = 0, weight_steps = 0;
  std::set<std::string> seen;
  for (const Parameter& p : parameters.list()) {
    if (p.id.layer >= 0) {
      EXPECT_GE(p.id.layer, layer);
      layer = p.id.layer;
    }
    if (p.role == ParameterRole::kActivationStep) {
      EXPECT_TRUE(IsStep(p.id.kind));
      EXPECT_EQ(p.count(), 1);
      ++activation_steps;
    }
    if (p.role == ParameterRole::kWeightSteps || p.role == ParameterRole::kOutputSteps) {
      EXPECT_EQ(p.count(), ShapeOf(config, p.id).rows) << ToString(p.id);
      ++weight_steps;
    }
    EXPECT_TRUE(seen.insert(ToString(p.id) + std::to_string(static_cast<int>(p.role))).second) << ToString(p.id);
  }
  EXPECT_EQ(activation_steps, static_cast<int>(AllSteps(config).size()));
  EXPECT_EQ(weight_steps, 7 * config.layers + 1);
  const Parameter* output = parameters.Find({WeightKind::kEmbedding, -1}, ParameterRole::kOutputSteps);
  ASSERT_NE(output, nullptr);
  EXPECT_EQ(output, &parameters.list().back());
  // A dynamic recipe has steps of weights alone.
  const Parameters dynamic = MakeParameters(config, "w4a8");
  for (const Parameter& p : dynamic.list()) EXPECT_NE(p.role, ParameterRole::kActivationStep);
}

TEST(ParametersTest, WhatIsLoadedIsWhatTheSourceGives) {
  const ModelConfig config = TinyGpt2();
  Parameters parameters = MakeParameters(config, "w8a8:static");
  const HashWeights weights(3);
  ASSERT_TRUE(parameters.Load(weights).ok());
  const auto source = SourceOf(parameters, config);
  for (const Parameter& p : parameters.list()) {
    if (p.role == ParameterRole::kWeightSteps || p.role == ParameterRole::kOutputSteps) continue;
    std::vector<float> expected(p.columns), actual(p.columns);
    ASSERT_TRUE(weights.ReadRow(p.id, p.rows - 1, expected).ok());
    ASSERT_TRUE(source->ReadRow(p.id, p.rows - 1, actual).ok());
    EXPECT_EQ(actual, expected) << ToString(p.id);
    EXPECT_FALSE(source->ReadRow(p.id, p.rows, actual).ok());
  }
  std::vector<float> row(8);
  EXPECT_EQ(source->ReadRow({WeightKind::kQ, 99}, 0, row).error().message,
            "layer 99 q_proj is no parameter of model 'tiny-gpt2'");
}

TEST(ParametersTest, CodesStandAtTheTrainedSteps) {
  const ModelConfig config = TinyLlama();
  Parameters parameters = MakeParameters(config, "w4a8:static");
  ASSERT_TRUE(parameters.Load(HashWeights(3)).ok());
  const WeightId id{WeightKind::kDown, 1};
  const std::span<float> steps = parameters.values(*parameters.Find(id, ParameterRole::kWeightSteps));
  for (size_t o = 0; o < steps.size(); ++o) steps[o] = 0.01f + 0.001f * static_cast<float>(o);
  const Format format{Code::kInt4, Scales::kChannel};
  PackedMatrix matrix = *AllocatePacked({.format = format, .n = config.hidden, .k = config.ffn});
  ASSERT_TRUE(SourceOf(parameters, config)->ReadPanels(id, 0, 0, matrix.panels(), matrix).ok());
  const std::span<const float> w = parameters.values(*parameters.Find(id, ParameterRole::kTensor));
  for (int o = 0; o < config.hidden; ++o) {
    for (int i = 0; i < config.ffn; ++i) {
      const float exact = w[o * config.ffn + i] / steps[o];
      ASSERT_NEAR(UnpackedCode(matrix, o, i), std::clamp(exact, -7.0f, 7.0f), 0.5001) << o << " " << i;
      ASSERT_FLOAT_EQ(UnpackedValue(matrix, o, i), static_cast<float>(UnpackedCode(matrix, o, i)) * steps[o]);
    }
  }
}

class MissingSteps final : public WeightSource {
 public:
  explicit MissingSteps(float value) : value_(value) {}
  Status ReadRow(const WeightId& id, int64_t, std::span<float> out) const override {
    if (IsStep(id.kind)) return NotFound("no steps");
    std::fill(out.begin(), out.end(), id.kind == WeightKind::kUp && id.layer == 1 ? value_ : 1.0f);
    return {};
  }
  std::string Describe() const override { return "broken.safetensors"; }

 private:
  float value_;
};

TEST(ParametersTest, StepsThatASourceLacksAreZeroAndValuesThatAreNotFiniteAreRefused) {
  const ModelConfig config = TinyLlama();
  Parameters parameters = MakeParameters(config, "w4a4:static");
  ASSERT_TRUE(parameters.Load(MissingSteps(2)).ok());
  const Parameter* step = parameters.Find({WeightKind::kQueryStep, 0}, ParameterRole::kActivationStep);
  ASSERT_NE(step, nullptr);
  EXPECT_EQ(parameters.values(*step)[0], 0);
  float value = 0;
  EXPECT_EQ(SourceOf(parameters, config)->ReadRow(step->id, 0, std::span(&value, 1)).error().code,
            ErrorCode::kNotFound);
  EXPECT_EQ(parameters.Load(MissingSteps(std::numeric_limits<float>::infinity())).error().message,
            "broken.safetensors: row 0 of layer 1 up_proj holds a value that is not finite");
}

TEST(ParametersTest, WhatCannotBeTrainedIsRefusedByName) {
  const auto refusal = [](const ModelConfig& config, const std::string& recipe) {
    const auto made = Parameters::Make(config, *ParseRecipe(recipe));
    EXPECT_FALSE(made.ok()) << recipe;
    return made.ok() ? Error{} : made.error();
  };
  EXPECT_NE(refusal(TinyLlama(), "w4a8:g64").message.find("group scales of weights cannot be trained"),
            std::string::npos);
  EXPECT_NE(refusal(TinyLlama(), "w2a8").message.find("2-bit weights"), std::string::npos);
  ModelConfig huge = TinyLlama();
  huge.hidden = huge.ffn = 1 << 20;
  const Error error = refusal(huge, "f32");
  EXPECT_EQ(error.code, ErrorCode::kInfeasible);
  EXPECT_NE(error.message.find("TiB of parameters and "), std::string::npos) << error.message;
}

}  // namespace
}  // namespace lodestone
