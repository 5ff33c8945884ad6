#include "program/work.h"

#include <gtest/gtest.h>

#include "base/units.h"
#include "test_models.h"

namespace lodestone {
namespace {

Program MustDescribe(const ModelConfig& config, const char* recipe) { return *Describe(config, *ParseRecipe(recipe)); }

// NorthPole HPEC 2024: one layer is 104.0 MiB at int4, the output layer 192.0 MiB at int8, KV of 28 users × 2048 tokens
// 56 MiB.
TEST(Work, LayerOfThePaper) {
  const Program program = MustDescribe(testing::Granite3b14l(), "w4a4:static");
  const Residency layer = ResidencyOf(Slice(program, 1, 3));
  EXPECT_EQ(layer.code_bytes, 104 * kMiB);
  EXPECT_EQ(layer.kv_code_bytes_per_token, 1024);
  EXPECT_EQ(layer.kv_scale_bytes_per_token, 0);
  EXPECT_EQ(layer.kv_code_bytes_per_token * 28 * 2048, 56 * kMiB);
  EXPECT_EQ(ResidencyOf(Slice(program, 29, 30)).code_bytes, 192 * kMiB);
  // Channel scales: Q 4096, K and V 1024, O 4096, gate and up 14336, down 4096; 4 bytes each.
  EXPECT_EQ(layer.scale_bytes, 4 * (4096 + 2 * 1024 + 4096 + 2 * 14336 + 4096));
  // Two norms of 4096 and nine step sizes less the output layer's: attention input, Q, K, V, P, attended, MLP input,
  // down input.
  EXPECT_EQ(layer.norm_bias_bytes, 4 * (2 * 4096 + 8));
}

TEST(Work, OperationsOfALayerAreTwoAParameterAndAttention) {
  const Program program = MustDescribe(testing::Granite3b14l(), "w4a4");
  const Load load{
      .rows = 3, .logit_rows = 3, .sequences = 3, .context_sum = 300, .context_max = 100, .kv_tokens_read = 300};
  const Work work = WorkOf(Slice(program, 1, 3), load);
  EXPECT_EQ(work.matrix_ops, 2 * 3 * int64_t{218103808} + 4 * 300 * 4096);
  EXPECT_EQ(work.kv_read_code_bytes, 300 * 1024);
  EXPECT_EQ(work.kv_read_scale_bytes, 300 * 2 * 8 * 4);  // dynamic: one f32 a token, head, and K or V
  EXPECT_EQ(work.kv_write_code_bytes, 3 * 1024);
}

TEST(Work, OutputLayerCountsOnlyRowsWhoseLogitsAreWanted) {
  const Program program = MustDescribe(testing::TinyLlama(), "f32");
  Load load{
      .rows = 100, .logit_rows = 1, .sequences = 1, .context_sum = 5050, .context_max = 100, .kv_tokens_read = 100};
  const Work work = WorkOf(program.segments[2].ops[1], load);
  EXPECT_EQ(work.matrix_ops, 2 * 48 * 50);
  EXPECT_EQ(work.activation_read_bytes, 48 * 4);
  EXPECT_EQ(work.activation_write_bytes, 50 * 4);
}

TEST(WorkProperty, AffineInTheLoad) {
  const auto flat = [](const Work& w) {
    return std::vector<int64_t>{w.matrix_ops,
                                w.vector_ops,
                                w.weight_code_bytes,
                                w.weight_scale_bytes,
                                w.norm_bias_bytes,
                                w.kv_read_code_bytes,
                                w.kv_read_scale_bytes,
                                w.kv_write_code_bytes,
                                w.kv_write_scale_bytes,
                                w.activation_read_bytes,
                                w.activation_write_bytes};
  };
  for (const ModelConfig& config : {testing::TinyLlama(), testing::TinyGpt2(), testing::TinyGranite()}) {
    for (const std::string& recipe : RecipeNames()) {
      const Program program = Fuse(MustDescribe(config, recipe.c_str()));
      const Load load{
          .rows = 7, .logit_rows = 3, .sequences = 2, .context_sum = 91, .context_max = 20, .kv_tokens_read = 33};
      const auto base = flat(WorkOf(program, Load{}));
      auto expected = base;
      const auto add = [&](const Load& unit, int64_t times) {
        const auto value = flat(WorkOf(program, unit));
        for (size_t i = 0; i < base.size(); ++i) expected[i] += times * (value[i] - base[i]);
      };
      add(Load{.rows = 1}, 7);
      add(Load{.logit_rows = 1}, 3);
      add(Load{.context_sum = 1}, 91);
      add(Load{.kv_tokens_read = 1}, 33);
      EXPECT_EQ(flat(WorkOf(program, load)), expected) << config.name << " " << recipe;
    }
  }
}

TEST(Work, FusedKernelReadsAndWritesAtItsEdgesOnly) {
  // norm → quantize of 48 values: unfused reads 192 and 192, writes 192 and 48 codes + 4 of scale.
  const Program program = Fuse(MustDescribe(testing::TinyLlama(), "w4a8"));
  const Segment& output = program.segments[2];
  const Load load{.rows = 1, .logit_rows = 1};
  const Work norm = WorkOf(output, 0, load), quantize = WorkOf(output, 1, load);
  EXPECT_EQ(norm.activation_read_bytes, 192);
  EXPECT_EQ(norm.activation_write_bytes, 0);
  EXPECT_EQ(quantize.activation_read_bytes, 0);
  EXPECT_EQ(quantize.activation_write_bytes, 52);
}

TEST(Work, EmbeddingIsTheHosts) {
  const Program program = MustDescribe(testing::TinyLlama(), "w4a8");
  EXPECT_TRUE(WorkOf(program.segments[0].ops[0], Load{.rows = 1}).on_host);
  EXPECT_FALSE(WorkOf(program, Load{.rows = 1}).on_host);
  EXPECT_EQ(ResidencyOf(program).host_bytes, 50 * 48 * 2);
  EXPECT_EQ(ResidencyOf(Slice(program, 0, 1)).code_bytes, 0);
}

}  // namespace
}  // namespace lodestone
