#include <gtest/gtest.h>

#include "program/program.h"
#include "program/work.h"
#include "test_models.h"

namespace lodestone {
namespace {

using enum Sparsity::Pattern;

Linear Product(Code code, Sparsity sparsity) {
  Linear linear{.in = Reg::kNormed, .out = Reg::kUp, .weight = {WeightKind::kUp}};
  linear.n = linear.k = 64;
  linear.weights = {code, IsInteger(code) ? Scales::kChannel : Scales::kNone, 0};
  linear.input = {Code::kBf16};
  linear.sparsity = sparsity;
  return linear;
}

Load Rows(int rows) { return {.rows = rows}; }

// 4096 int4 codes are 2048 bytes.
TEST(Sparsity, BytesHoldTheIndex) {
  const auto bytes = [](Sparsity sparsity) {
    return WorkOf(Op(Product(Code::kInt4, sparsity)), Rows(1)).weight_code_bytes;
  };
  EXPECT_EQ(bytes({}), 2048);
  EXPECT_EQ(bytes({kTwoOfFour, 0.5}), 1024 + 2048 * 2 / 8);  // two bits a kept weight
  EXPECT_EQ(bytes({kUnstructured, 0.75}), 512 + 64 * 8);     // a bit a weight
  EXPECT_EQ(bytes({kTiles, 0.5}), 1024 + 1);                 // a bit for each of four blocks
  EXPECT_EQ(bytes({kUnstructured, 0.0}), 2048 + 64 * 8);     // an index alone saves nothing
}

TEST(Sparsity, OnlyWholeBlocksSpareOperations) {
  const auto ops = [](Sparsity sparsity) { return WorkOf(Op(Product(Code::kBf16, sparsity)), Rows(3)).matrix_ops; };
  const int64_t dense = 2 * 3 * 64 * 64;
  EXPECT_EQ(ops({}), dense);
  EXPECT_EQ(ops({kUnstructured, 0.75}), dense);
  EXPECT_EQ(ops({kTwoOfFour, 0.5}), dense);  // at the rate that units with the pattern have for it
  EXPECT_EQ(ops({kTiles, 0.75}), dense / 4);
}

TEST(Sparsity, IdleRowsAreReadWhenAnyRowNeedsThem) {
  Linear linear = Product(Code::kBf16, {});
  linear.idle = 0.5;
  const auto work = [&](int rows) { return WorkOf(Op(linear), Rows(rows)); };
  EXPECT_EQ(work(1).weight_code_bytes, 8192 / 2);
  EXPECT_EQ(work(2).weight_code_bytes, 8192 * 3 / 4);
  EXPECT_EQ(work(60).weight_code_bytes, 8192);
  EXPECT_EQ(work(1).matrix_ops, 2 * 64 * 64 / 2);
  EXPECT_EQ(work(2).matrix_ops, 2 * (2 * 64 * 64) * 3 / 4);
}

TEST(Sparsity, ScoresInMemoryAreWholeRectangles) {
  Attend attend{.q = Reg::kQ, .out = Reg::kAttended, .heads = 4, .kv_heads = 2, .head_dim = 16};
  attend.query = attend.kv = attend.probability = {Code::kBf16};
  const Load load{.rows = 10, .sequences = 1, .context_sum = 55, .context_max = 10, .kv_tokens_read = 10};
  const Work online = WorkOf(Op(attend), load);
  attend.materialised = true;
  const Work stored = WorkOf(Op(attend), load);
  // Ten rows of ten positions and four heads: scores as f32 written, masked in place and read, P as bf16.
  EXPECT_EQ(stored.activation_read_bytes - online.activation_read_bytes, 100 * 4 * (2 * 4 + 2));
  EXPECT_EQ(stored.activation_write_bytes - online.activation_write_bytes, 100 * 4 * (2 * 4 + 2));
  EXPECT_EQ(online.matrix_ops, 55 * 4 * 16 * 4);
  EXPECT_EQ(stored.matrix_ops, 100 * 4 * 16 * 4);
}

TEST(Sparsity, ExpertsAreStoredLikeOtherWeights) {
  Experts experts{.in = Reg::kNormed, .out = Reg::kMlpOut};
  experts.experts = experts.held = 2;
  experts.per_token = 1;
  experts.n = experts.ffn = 64;
  experts.weights = experts.input = experts.inner = {Code::kBf16};
  const int64_t router = 2 * 64 * 2;
  EXPECT_EQ(WorkOf(Op(experts), Rows(1)).weight_code_bytes, 3 * 8192 + router);
  experts.sparsity = {kTwoOfFour, 0.5};
  EXPECT_EQ(WorkOf(Op(experts), Rows(1)).weight_code_bytes, 3 * (4096 + 512) + router);
}

TEST(SparsityProperty, ResidentBytesAreWhatAFullBatchReads) {
  for (const ModelConfig& config : {testing::TinyLlama(), testing::TinyMixtral(), testing::TinyGpt2()}) {
    for (const char* recipe : {"bf16", "w4a8", "w8a16"}) {
      Program program = *Describe(config, *ParseRecipe(recipe));
      for (Op& op : program.segments[1].ops) {
        if (auto* linear = std::get_if<Linear>(&op)) {
          linear->sparsity = {kUnstructured, 0.6};
          linear->idle = 0.5;
        }
      }
      const Load full{.rows = 10000, .logit_rows = 1, .sequences = 1};
      EXPECT_EQ(WorkOf(program, full).weight_code_bytes, ResidencyOf(program).code_bytes) << config.name << recipe;
    }
  }
}

TEST(EarlyExit, LeavesTheLastLayersOutOfWorkAndNotOutOfMemory) {
  Program program = *Describe(testing::TinyLlama(), *ParseRecipe("bf16"));  // three layers
  const Load load{.rows = 1, .logit_rows = 1, .sequences = 1, .context_sum = 9, .context_max = 9, .kv_tokens_read = 9};
  const Work whole = WorkOf(program, load), layer = WorkOf(Slice(program, 1, 3), load);
  const Residency resident = ResidencyOf(program);
  program.segments[1].exited = 1;
  EXPECT_EQ(WorkOf(program, load).matrix_ops, whole.matrix_ops - layer.matrix_ops);
  EXPECT_EQ(ResidencyOf(program).code_bytes, resident.code_bytes);
  // Pieces: layers 0 and 1 run, layer 2 does not.
  EXPECT_EQ(WorkOf(Slice(program, 1, 5), load).matrix_ops, 2 * layer.matrix_ops);
  EXPECT_EQ(WorkOf(Slice(program, 5, 7), load).matrix_ops, 0);
  EXPECT_EQ(WorkOf(Slice(program, 3, 7), load).matrix_ops, layer.matrix_ops);
  const auto shard = Shard(program, 0, 2);
  ASSERT_TRUE(shard.ok());
  EXPECT_EQ(shard->segments[1].runs(), 2);
}

}  // namespace
}  // namespace lodestone
