#include "model/weight_source.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "test_models.h"

namespace lodestone {
namespace {

using testing::TinyGpt2;
using testing::TinyGranite;
using testing::TinyLlama;
using testing::TinyNeoX;

TEST(WeightSourceTest, ShapesOfALlama) {
  const ModelConfig c = TinyLlama();
  const auto shape = [&](WeightKind kind, int layer) {
    const WeightShape s = ShapeOf(c, {kind, layer});
    return std::pair(s.rows, s.columns);
  };
  using P = std::pair<int64_t, int64_t>;
  EXPECT_EQ(shape(WeightKind::kEmbedding, -1), P(50, 48));
  EXPECT_EQ(shape(WeightKind::kOutput, -1), P(50, 48));
  EXPECT_EQ(shape(WeightKind::kQ, 0), P(64, 48));
  EXPECT_EQ(shape(WeightKind::kK, 2), P(32, 48));
  EXPECT_EQ(shape(WeightKind::kO, 0), P(48, 64));
  EXPECT_EQ(shape(WeightKind::kGate, 0), P(80, 48));
  EXPECT_EQ(shape(WeightKind::kDown, 0), P(48, 80));
  EXPECT_EQ(shape(WeightKind::kAttentionNorm, 0), P(1, 48));
  EXPECT_EQ(shape(WeightKind::kQueryStep, 0), P(1, 1));
  EXPECT_EQ(shape(WeightKind::kOutputInputStep, -1), P(1, 1));
  // What the model does not have, and layers that do not exist.
  EXPECT_EQ(shape(WeightKind::kQBias, 0).first, 0);
  EXPECT_EQ(shape(WeightKind::kPositions, -1).first, 0);
  EXPECT_EQ(shape(WeightKind::kAttentionNormBias, 0).first, 0);
  EXPECT_EQ(shape(WeightKind::kQ, 3).first, 0);
  EXPECT_EQ(shape(WeightKind::kQ, -1).first, 0);
  EXPECT_EQ(shape(WeightKind::kEmbedding, 0).first, 0);
  EXPECT_EQ(shape(WeightKind::kQueryStep, -1).first, 0);
}

TEST(WeightSourceTest, PlainMlpHasNoGate) {
  const ModelConfig c = TinyGpt2();
  EXPECT_EQ(ShapeOf(c, {WeightKind::kGate, 0}).rows, 0);
  EXPECT_EQ(ShapeOf(c, {WeightKind::kGateBias, 0}).rows, 0);
  EXPECT_EQ(ShapeOf(c, {WeightKind::kUp, 0}).rows, c.ffn);
  EXPECT_EQ(ShapeOf(c, {WeightKind::kUpBias, 0}).columns, c.ffn);
  EXPECT_EQ(ShapeOf(c, {WeightKind::kPositions, -1}).rows, c.max_positions);
}

TEST(WeightSourceTest, EveryTensorIsListedOnceAndHasANameOfItsOwn) {
  for (const ModelConfig& c : {TinyLlama(), TinyGpt2(), TinyNeoX(), TinyGranite()}) {
    std::set<std::string> names;
    for (const auto& ids : {AllWeights(c), AllSteps(c)}) {
      for (const WeightId& id : ids) {
        EXPECT_TRUE(names.insert(ToString(id)).second) << ToString(id);
        EXPECT_GT(ShapeOf(c, id).rows, 0) << ToString(id);
        EXPECT_GT(ShapeOf(c, id).columns, 0) << ToString(id);
      }
    }
    EXPECT_EQ(names.contains("output layer"), !c.tied_embeddings) << c.name;
  }
}

TEST(WeightSourceTest, ListsHoldEveryKindThatHasAShape) {
  ModelConfig c = TinyGranite();
  c.norm = NormKind::kLayer;
  c.position = PositionKind::kLearned;
  c.attention_output_bias = c.mlp_bias = true;
  c.tied_embeddings = false;
  c.experts = 4;
  std::set<WeightKind> listed;
  for (const auto& ids : {AllWeights(c), AllSteps(c)}) {
    for (const WeightId& id : ids) listed.insert(id.kind);
  }
  EXPECT_EQ(listed.size(), static_cast<size_t>(WeightKind::kOutputInputStep) + 1);
}

TEST(WeightSourceTest, ExpertsLieOneAfterTheOther) {
  ModelConfig c = TinyLlama();
  c.experts = 4;
  c.experts_per_token = 2;
  EXPECT_EQ(ShapeOf(c, {WeightKind::kRouter, 1}).rows, 4);
  EXPECT_EQ(ShapeOf(c, {WeightKind::kGate, 1}).rows, 4 * c.ffn);
  EXPECT_EQ(ShapeOf(c, {WeightKind::kDown, 1}).rows, 4 * c.hidden);
  EXPECT_EQ(ShapeOf(c, {WeightKind::kDown, 1}).columns, c.ffn);
  EXPECT_EQ(ShapeOf(TinyLlama(), {WeightKind::kRouter, 1}).rows, 0);
  const int64_t mlp = 3 * int64_t{c.hidden} * c.ffn, router = 4 * int64_t{c.hidden};
  EXPECT_EQ(ParameterCount(c) - ParameterCount(TinyLlama()), c.layers * (3 * mlp + router));
}

TEST(WeightSourceTest, StepsAreNoParameters) {
  for (const WeightId& id : AllWeights(TinyLlama())) EXPECT_FALSE(IsStep(id.kind));
  for (const WeightId& id : AllSteps(TinyLlama())) EXPECT_TRUE(IsStep(id.kind));
}

TEST(WeightSourceTest, NamesForMessages) {
  EXPECT_EQ(ToString(WeightId{WeightKind::kQ, 3}), "layer 3 q_proj");
  EXPECT_EQ(ToString(WeightId{WeightKind::kEmbedding, -1}), "embedding");
  EXPECT_EQ(ToString(WeightId{WeightKind::kAttentionInputStep, 0}), "layer 0 attention input step");
}

}  // namespace
}  // namespace lodestone
