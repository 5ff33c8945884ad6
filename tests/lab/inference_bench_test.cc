#include "lab/inference_bench.h"

#include <gtest/gtest.h>

#include "lab/inference_rows.h"
#include "test_models.h"

namespace lodestone::testing {
namespace {

TEST(InferenceBench, NamesAreThoseOfLlamaBench) {
  EXPECT_EQ((InferenceCase{.prompt_tokens = 512}).Name(), "pp512");
  EXPECT_EQ((InferenceCase{.tokens = 128}).Name(), "tg128");
  EXPECT_EQ((InferenceCase{.tokens = 128, .depth = 8192}).Name(), "tg128 @ d8192");
}

TEST(InferenceBench, PromptsFillPassesAndWantOneRowOfLogitsAUser) {
  const auto passes = PassesOf({.prompt_tokens = 10, .batch = 3}, 8, 50);
  ASSERT_EQ(passes.size(), 4u);  // 30 rows
  EXPECT_EQ(passes[0].size(), 8u);
  EXPECT_EQ(passes[3].size(), 6u);
  int wanted = 0;
  std::vector<int32_t> next(3, 0);
  for (const auto& pass : passes) {
    for (const Row& row : pass) {
      EXPECT_EQ(row.position, next[row.sequence]++);
      EXPECT_LT(row.token, 50);
      if (row.wants_logits) {
        EXPECT_EQ(row.position, 9);
        ++wanted;
      }
    }
  }
  EXPECT_EQ(wanted, 3);
}

TEST(InferenceBench, DecodingRunsARowAUserBehindTheContext) {
  const auto passes = PassesOf({.tokens = 4, .depth = 100, .batch = 2}, 8, 50);
  ASSERT_EQ(passes.size(), 4u);
  EXPECT_EQ(passes[3].size(), 2u);
  EXPECT_EQ(passes[3][1].position, 103);
  EXPECT_TRUE(passes[0][0].wants_logits);
}

TEST(InferenceBench, LimitIsTheLongerOfBytesAndOperations) {
  const ModelConfig config = TinyLlama();
  const Program program = *Describe(config, *ParseRecipe("w4a8"));
  const auto passes = PassesOf({.tokens = 1, .depth = 63, .batch = 2}, 8, config.vocab);
  const Rates memory{.dram_bytes_per_s = 1e9, .int8_ops_per_s = 1e18};
  const CaseWork bound = WorkOfPass(program, passes[0], memory);
  EXPECT_GT(bound.weight_bytes, 0);
  // K and V of 64 positions of 2 users read, those of 1 written; 2 heads of 16 codes and a scale of 4 bytes.
  EXPECT_EQ(bound.kv_bytes, config.layers * 2.0 * (64 + 1) * 2 * (2 * (16 + 4)));
  EXPECT_DOUBLE_EQ(bound.limit_seconds, (bound.weight_bytes + bound.kv_bytes) / 1e9);
  const CaseWork compute = WorkOfPass(program, passes[0], {.dram_bytes_per_s = 1e18, .int8_ops_per_s = 1e9});
  EXPECT_DOUBLE_EQ(compute.limit_seconds, compute.operations / 1e9);
  // In the cache where a pass fits it.
  const CaseWork cached =
      WorkOfPass(program, passes[0],
                 {.dram_bytes_per_s = 1e9, .l3_bytes_per_s = 2e9, .l3_bytes = 1 << 30, .int8_ops_per_s = 1e18});
  EXPECT_DOUBLE_EQ(cached.limit_seconds, bound.limit_seconds / 2);
  EXPECT_EQ(WorkOfPass(program, passes[0], {}).limit_seconds, 0);
}

TEST(InferenceBench, EveryRepetitionIsKeptAndBecomesARow) {
  Model model;
  model.config = TinyLlama();
  model.name = "tiny";
  model.weights = RandomWeights(model.config, 1);
  const auto runner =
      PassRunner::Open(model, *ParseRecipe("w4a8"), {.sequences = 2, .positions = 100, .rows_per_pass = 16});
  ASSERT_TRUE(runner.ok()) << runner.error().message;
  const Rates rates{.dram_bytes_per_s = 1e10, .int8_ops_per_s = 1e12};
  InferenceBench bench(**runner, model.config,
                       {{.prompt_tokens = 20, .batch = 2}, {.tokens = 3, .depth = 70, .batch = 2}}, 16, rates);
  const Status warm = bench.WarmUp();
  ASSERT_TRUE(warm.ok()) << warm.error().message;
  for (int repetition = 0; repetition < 3; ++repetition) {
    const Status status = bench.Repeat();
    ASSERT_TRUE(status.ok()) << status.error().message;
  }
  for (const CaseResult& result : bench.results()) {
    EXPECT_EQ(result.seconds.size(), 3u);
    for (const double rate : result.tokens_per_s()) EXPECT_GT(rate, 0);
  }
  const InferenceSetting setting{.environment = {{"cpu", "a \"test\" cpu"}}, .model = "tiny", .recipe = "w4a8"};
  const Json row = ToJson(setting, {.result = bench.results()[0], .peer_tokens_per_s = {1, 1, 1}});
  EXPECT_EQ(*row.Find("n_prompt")->as_int(), 20);
  EXPECT_EQ(*row.Find("batch")->as_int(), 2);
  EXPECT_GT(*row.Find("share_of_limit")->as_number(), 0);
  EXPECT_NEAR(*row.Find("ratio")->as_number(), *row.Find("samples_ts")->as_array()->at(0).as_number(),
              *row.Find("ratio_high")->as_number());
  const std::string csv = ToCsv({row});
  EXPECT_NE(csv.find("\"a \"\"test\"\" cpu\""), std::string::npos) << csv;
  EXPECT_NE(ToMarkdown({row}).find("| tiny | w4a8 |"), std::string::npos);
}

}  // namespace
}  // namespace lodestone::testing
