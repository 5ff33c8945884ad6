#include "program/training_work.h"

#include <gtest/gtest.h>

#include "test_models.h"

namespace lodestone {
namespace {

Program MustDescribe(const ModelConfig& config, const char* recipe) { return *Describe(config, *ParseRecipe(recipe)); }

// One sequence of s positions.
Load Sequence(int s) {
  return {.rows = s,
          .logit_rows = s,
          .sequences = 1,
          .context_sum = int64_t{s} * (s + 1) / 2,
          .context_max = s,
          .kv_tokens_read = s};
}

template <typename T>
const Op& First(const Program& program) {
  for (const Segment& segment : program.segments) {
    for (const Op& op : segment.ops) {
      if (std::holds_alternative<T>(op)) return op;
    }
  }
  ADD_FAILURE() << "no such operator";
  return program.segments[0].ops[0];
}

TEST(TrainingWork, AProductHasTwoBehindIt) {
  const Program program = MustDescribe(testing::TinyLlama(), "bf16");
  const Op& q = First<Linear>(program);  // 64 × 48
  const Work backward = BackwardOf(q, Sequence(10));
  EXPECT_EQ(backward.matrix_ops, 2 * (2 * 10 * 64 * 48));
  EXPECT_EQ(backward.weight_code_bytes, 64 * 48 * (2 + 4));  // read in bf16, its gradient written in f32
  // Gradient of 64 outputs read by either product, input of 48 bf16 read; gradient of the input written.
  EXPECT_EQ(backward.activation_read_bytes, 10 * (2 * 64 * 4 + 48 * 2));
  EXPECT_EQ(backward.activation_write_bytes, 10 * 48 * 2);
}

TEST(TrainingWork, AttentionComputesItsScoresOnceMoreUnlessTheyAreKept) {
  const Program program = MustDescribe(testing::TinyLlama(), "bf16");
  auto attend = std::get<Attend>(First<Attend>(program));
  const int64_t forward = 4 * 55 * 64;
  EXPECT_EQ(BackwardOf(Op(attend), Sequence(10)).matrix_ops, forward * 5 / 2);
  attend.materialised = true;
  EXPECT_EQ(BackwardOf(Op(attend), Sequence(10)).matrix_ops, 2 * (4 * 100 * 64));  // of the whole square
}

// PaLM's count: 6 operations a parameter and token in products, forward and backward.
TEST(TrainingWork, ProductsCostSixOperationsAParameter) {
  for (const ModelConfig& config : {testing::TinyLlama(), testing::TinyGpt2(), testing::TinyNeoX()}) {
    const Program program = MustDescribe(config, "bf16");
    int64_t operations = 0, weights = 0;
    for (const Segment& segment : program.segments) {
      for (const Op& op : segment.ops) {
        const auto* linear = std::get_if<Linear>(&op);
        if (linear == nullptr) continue;
        operations += segment.repeat * (WorkOf(op, Sequence(7)).matrix_ops + BackwardOf(op, Sequence(7)).matrix_ops);
        weights += segment.repeat * int64_t{linear->n} * linear->k;
      }
    }
    EXPECT_EQ(operations, 6 * 7 * weights) << config.name;
  }
}

// V. Korthikanti et al., Reducing activation recomputation (arXiv 2205.05198): 34 s b h bytes a layer of a GPT without
// what attention keeps of its scores, of which 2 s b h are masks of dropout, which nothing here has.
TEST(TrainingWork, AGptLayerKeepsSixteenTimesItsWidth) {
  ModelConfig config = testing::TinyGpt2();
  config.hidden = 64;
  config.ffn = 256;
  for (const char* recipe : {"bf16", "f32"}) {
    const KeptRow kept = KeptOf(MustDescribe(config, recipe).segments[1].ops);
    EXPECT_EQ(kept.values, 16 * 64) << recipe;
    EXPECT_EQ(kept.statistics, 4) << recipe;
    EXPECT_EQ(kept.score_heads, 0) << recipe;
  }
}

TEST(TrainingWork, KeptScoresGrowWithTheContext) {
  Program program = MustDescribe(testing::TinyLlama(), "bf16");
  for (Op& op : program.segments[1].ops) {
    if (auto* attend = std::get_if<Attend>(&op)) attend->materialised = true;
  }
  EXPECT_EQ(KeptOf(program.segments[1].ops).score_heads, 4);
}

TEST(TrainingWork, FlopsATokenCountThePickedExperts) {
  const ModelConfig dense = testing::TinyLlama(), mixture = testing::TinyMixtral();
  const double expected = 6.0 * static_cast<double>(ParameterCount(dense)) + 12.0 * 3 * 48 * 100;
  EXPECT_EQ(TrainingFlopsPerToken(dense, 100), expected);
  // A second expert of 48 × 80 × 3, and the router's rows for both.
  EXPECT_EQ(TrainingFlopsPerToken(mixture, 100), expected + 6.0 * 3 * (3 * 48 * 80 + 2 * 48));
}

TEST(TrainingWork, AdamWHoldsSixteenBytesAParameterEitherWay) {
  for (const bool mixed : {true, false}) {
    const OptimizerBytes bytes = AdamWBytes(mixed);
    EXPECT_EQ(bytes.weight + bytes.gradient + bytes.states, 16);
  }
  // Twelve bytes read and written, and a gradient read: in mixed precision of two bytes, with a weight written beside.
  EXPECT_EQ(AdamWBytes(true).moved, 24 + 2 + 2);
  EXPECT_EQ(AdamWBytes(false).moved, 24 + 4);
}

TEST(TrainingWorkProperty, OperatorsHoldTheModelsParameters) {
  for (const ModelConfig& config : {testing::TinyLlama(), testing::TinyGpt2(), testing::TinyNeoX(),
                                    testing::TinyGranite(), testing::TinyMixtral()}) {
    EXPECT_EQ(ParametersOf(MustDescribe(config, "bf16")), ParameterCount(config)) << config.name;
  }
}

TEST(TrainingWorkProperty, NothingIsNegativeAndBackwardGrowsWithTheRows) {
  for (const ModelConfig& config : {testing::TinyLlama(), testing::TinyMixtral()}) {
    const Program program = MustDescribe(config, "bf16");
    for (const Segment& segment : program.segments) {
      for (const Op& op : segment.ops) {
        Work before;
        for (const int s : {1, 2, 5, 33}) {
          const Work work = BackwardOf(op, Sequence(s));
          EXPECT_GE(work.matrix_ops, before.matrix_ops) << NameOf(op);
          EXPECT_GE(work.vector_ops, before.vector_ops) << NameOf(op);
          EXPECT_GE(work.activation_read_bytes, before.activation_read_bytes) << NameOf(op);
          EXPECT_GE(work.activation_write_bytes, before.activation_write_bytes) << NameOf(op);
          before = work;
        }
      }
    }
  }
}

}  // namespace
}  // namespace lodestone
