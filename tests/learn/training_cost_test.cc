#include "learn/training_cost.h"

#include <gtest/gtest.h>

#include "learn/training_model.h"
#include "model/recipe.h"

namespace lodestone::testing {
namespace {

ModelConfig Catalog(const std::string& name) {
  Result<ModelConfig> config = LoadModelConfig(name);
  EXPECT_TRUE(config.ok()) << config.error().message;
  return config.ok() ? *config : ModelConfig{};
}

// The figures of the study, worked out by hand.
TEST(TrainingCost, FlopsAreThoseOfTheStatedFormulas) {
  EXPECT_NEAR(BlockForwardFlops(1600, 1024, 8), 0.557e12, 0.001e12);
  EXPECT_NEAR(3 * BlockForwardFlops(1600, 1024, 8), 1.671e12, 0.001e12);
  EXPECT_NEAR(BlockForwardFlops(12288, 2048, 1), 7.63e12, 0.01e12);
  EXPECT_NEAR(TrainingFlopsPerToken(Catalog("gpt2-xl"), 1024), 1.029e10, 0.001e10);
  // Attention's share of GenSLM's work.
  const auto share = [](const char* name, int64_t sequence) {
    const ModelConfig c = Catalog(name);
    const double all = TrainingFlopsPerToken(c, sequence);
    return (all - 6 * static_cast<double>(ParameterCount(c))) / all;
  };
  EXPECT_NEAR(share("genslm-25m", 2048), 0.40, 0.005);
  EXPECT_NEAR(share("genslm-25m", 10240), 0.77, 0.005);
  EXPECT_NEAR(share("genslm-25b", 10240), 0.30, 0.005);
}

// A block is 1/L of a model without embeddings: the two formulas agree.
TEST(TrainingCost, FormulasOfTheBlockAndTheModelAgree) {
  const ModelConfig c = Catalog("gpt2-xl");
  const double linear = MaskedFlopsPerToken(c) / 3;
  const double attention = 4.0 * c.layers * c.hidden * 1024;
  EXPECT_DOUBLE_EQ(linear + attention, c.layers * BlockForwardFlops(c.hidden, 1024, 1) / 1024);
}

// What is foreseen is what a step then holds, but for a few rows' scratch of attention and norms.
TEST(TrainingCost, ActivationsAreThoseThatAStepHolds) {
  constexpr int kSequences = 4, kLength = 128;
  constexpr double kChunkOfLogits = 0x1p26, kScratch = 0x1p20;
  for (ModelConfig config : TrainingConfigs()) {
    config.layers = 6;
    for (const std::string recipe : {"f32", "w8a8:static"}) {
      for (const bool recompute : {false, true}) {
        TrainingModel model(config, recipe, 1, {.recompute = recompute, .block_mask = {}});
        model.Gradients(RandomBatch(kSequences, kLength, config.vocab).All());
        const auto held = static_cast<double>(model.differentiator->activation_bytes());
        const TrainingMemory memory =
            MemoryOfTraining(config, *Describe(config, *ParseRecipe(recipe)), int64_t{kSequences} * kLength, recompute);
        const double foreseen = static_cast<double>(memory.activation_bytes) - kChunkOfLogits;
        EXPECT_NEAR(foreseen, held, kScratch) << config.name << " " << recipe << " " << recompute;
        EXPECT_GT(held, 2 * kScratch);
      }
    }
  }
}

TEST(TrainingCost, MemoryIsRefusedWithTheArithmetic) {
  const ModelConfig c = Catalog("gpt2-xl");
  const Program program = *Describe(c, *ParseRecipe("bf16"));
  const TrainingMemory memory = MemoryOfTraining(c, program, 1024, false);
  EXPECT_EQ(memory.state_bytes, 16 * int64_t{1'557'611'200});
  EXPECT_GT(memory.activation_bytes, int64_t{1024} * 48 * 1600 * 4 * 10);
  EXPECT_LT(MemoryOfTraining(c, program, 1024, true).activation_bytes, memory.activation_bytes / 4);
  EXPECT_TRUE(CheckTrainingMemory("gpt2-xl", memory, memory.total()).ok());
  const Status refused = CheckTrainingMemory("gpt2-xl at 1 × 1024", memory, memory.total() - 1);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kInfeasible);
  for (const char* part : {"gpt2-xl at 1 × 1024", "1,557,611,200 parameters × (4 value + 4 gradient + 4 + 4 moments)",
                           "1,024 tokens a micro-batch", "this host has"}) {
    EXPECT_NE(refused.error().message.find(part), std::string::npos) << refused.error().message;
  }
}

}  // namespace
}  // namespace lodestone::testing
