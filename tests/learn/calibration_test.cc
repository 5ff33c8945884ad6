#include "learn/calibration.h"

#include <gtest/gtest.h>

#include <numeric>
#include <vector>

#include "executor/executor.h"
#include "hash_weights.h"
#include "program/program.h"
#include "test_models.h"

namespace lodestone::testing {
namespace {

std::vector<int32_t> Tokens(int count) {
  std::vector<int32_t> tokens(static_cast<size_t>(count));
  std::iota(tokens.begin(), tokens.end(), 1);
  return tokens;
}

// A source without step sizes, as a checkpoint is that was not trained for them.
class Untrained final : public WeightSource {
 public:
  Status ReadRow(const WeightId& id, int64_t row, std::span<float> out) const override {
    if (id.kind >= WeightKind::kAttentionInputStep) return NotFound("no " + ToString(id));
    return weights_.ReadRow(id, row, out);
  }
  std::string Describe() const override { return "untrained"; }

 private:
  HashWeights weights_{3};
};

TEST(Calibration, KnowsWhichRecipesNeedIt) {
  EXPECT_TRUE(NeedsStepSizes(*ParseRecipe("w4a8c8")));
  EXPECT_TRUE(NeedsStepSizes(*ParseRecipe("w4a4:static")));
  EXPECT_FALSE(NeedsStepSizes(*ParseRecipe("w4a8")));
  EXPECT_FALSE(NeedsStepSizes(*ParseRecipe("f32")));
}

TEST(Calibration, GivesEveryStepAndTheModelRuns) {
  const ModelConfig config = TinyLlama();
  const Recipe recipe = *ParseRecipe("w4a8c8");
  ThreadPool threads(2);
  const auto source = Calibrate(config, recipe, std::make_unique<Untrained>(), Tokens(30), threads);
  ASSERT_TRUE(source.ok()) << source.error().message;
  for (int layer = 0; layer < config.layers; ++layer) {
    float key = 0, probability = 0;
    ASSERT_TRUE((*source)->ReadRow({WeightKind::kKeyStep, layer}, 0, std::span(&key, 1)).ok());
    ASSERT_TRUE((*source)->ReadRow({WeightKind::kProbabilityStep, layer}, 0, std::span(&probability, 1)).ok());
    EXPECT_GT(key, 0);
    EXPECT_EQ(probability, 1.0f / 255);  // P lies in [0, 1] and has 8 bits
  }
  const Program program = *Describe(config, recipe);
  const Stage stage = *MakeStage(program, 0, PartCount(program));
  auto executor = *MakeCpuExecutor(threads);
  EXPECT_TRUE(executor->Configure(std::span(&stage, 1), **source, 1).ok());
}

TEST(Calibration, IsTheSameForAnyNumberOfThreads) {
  const ModelConfig config = TinyGpt2();
  const Recipe recipe = *ParseRecipe("w4a4:static");
  ThreadPool one(1), three(3);
  const auto a = Calibrate(config, recipe, std::make_unique<Untrained>(), Tokens(40), one);
  const auto b = Calibrate(config, recipe, std::make_unique<Untrained>(), Tokens(40), three);
  ASSERT_TRUE(a.ok() && b.ok());
  for (WeightKind kind : {WeightKind::kAttentionInputStep, WeightKind::kQueryStep, WeightKind::kValueStep,
                          WeightKind::kAttendedStep, WeightKind::kMlpInputStep, WeightKind::kDownInputStep}) {
    float x = 0, y = 0;
    ASSERT_TRUE((*a)->ReadRow({kind, 1}, 0, std::span(&x, 1)).ok());
    ASSERT_TRUE((*b)->ReadRow({kind, 1}, 0, std::span(&y, 1)).ok());
    EXPECT_EQ(x, y);
  }
}

TEST(Calibration, RefusesNoTokens) {
  ThreadPool threads(1);
  EXPECT_FALSE(Calibrate(TinyLlama(), *ParseRecipe("w4a8c8"), std::make_unique<Untrained>(), {}, threads).ok());
}

}  // namespace
}  // namespace lodestone::testing
