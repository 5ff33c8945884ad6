#include "plan/rank_model.h"

#include <gtest/gtest.h>

#include <map>

#include "test_models.h"

namespace lodestone {
namespace {

RankModel Model(const ModelConfig& config, const Parallelism& parallelism = {}, const Methods& methods = {},
                const char* recipe = "bf16") {
  Result<RankModel> model = RankModelOf(config, *ParseRecipe(recipe), parallelism, methods);
  EXPECT_TRUE(model.ok()) << model.error().message;
  return *std::move(model);
}

std::vector<std::string> Names(const RankModel& model) {
  std::vector<std::string> names;
  for (const Kernel& kernel : model.kernels) names.push_back(kernel.name);
  return names;
}

const Kernel& Find(const RankModel& model, std::string_view name) {
  for (const Kernel& kernel : model.kernels) {
    if (kernel.name == name) return kernel;
  }
  ADD_FAILURE() << "no kernel " << name;
  return model.kernels[0];
}

Load Decoding(int sequences, int64_t context) {
  return {.rows = sequences,
          .logit_rows = sequences,
          .sequences = sequences,
          .context_sum = sequences * context,
          .context_max = context,
          .kv_tokens_read = sequences * context};
}

TEST(RankModel, KernelsAreThoseThatMachinesLaunch) {
  const RankModel model = Model(testing::TinyLlama());
  EXPECT_EQ(Names(model), (std::vector<std::string>{"embed", "norm", "qkv", "rotate-store", "attention", "o", "norm",
                                                    "gate-up", "activation", "down", "add", "norm", "output"}));
  EXPECT_EQ(Find(model, "qkv").runs, 3);
  EXPECT_EQ(model.layers, 3);
  // The addition that ends a layer starts with the norm of the next.
  EXPECT_FALSE(Find(model, "add").launches);
  EXPECT_TRUE(Find(model, "o").partial_sums);
  EXPECT_TRUE(Find(model, "down").partial_sums);
}

TEST(RankModel, ActivationsMoveInTheFormatOfTheStream) {
  const RankModel model = Model(testing::TinyLlama());
  // Of h 48, q 64, k and v 32 each, f 80, in 2 bytes: read and written once a kernel.
  EXPECT_EQ(Find(model, "norm").activation_bytes_per_row, 2 * (48 + 48));
  EXPECT_EQ(Find(model, "qkv").activation_bytes_per_row, 2 * (48 + 64 + 32 + 32));
  EXPECT_EQ(Find(model, "attention").activation_bytes_per_row, 2 * (64 + 64));
  EXPECT_EQ(Find(model, "gate-up").activation_bytes_per_row, 2 * (48 + 80 + 80));
  EXPECT_EQ(Find(model, "activation").activation_bytes_per_row, 2 * (80 + 80 + 80));
  EXPECT_EQ(Find(model, "down").activation_bytes_per_row, 2 * (80 + 48));
  const RankModel wide = Model(testing::TinyLlama(), {}, {}, "f32");
  EXPECT_EQ(Find(wide, "activation").activation_bytes_per_row, 4 * (80 + 80 + 80));
}

TEST(RankModel, WorkIsThatOfTheOperators) {
  const ModelConfig config = testing::TinyLlama();
  const RankModel model = Model(config);
  const Load load = Decoding(5, 100);
  const KernelWork qkv = WorkOf(model, Find(model, "qkv"), load);
  EXPECT_EQ(qkv.matrix_ops, 2 * 5 * (64 + 32 + 32) * 48);
  EXPECT_EQ(qkv.weight_bytes, 2 * (64 + 32 + 32) * 48);
  const KernelWork attention = WorkOf(model, Find(model, "attention"), load);
  EXPECT_EQ(attention.kv_bytes, 5 * 100 * 2 * 32 * 2);
  EXPECT_EQ(attention.matrix_ops, 4 * 500 * 64);
  EXPECT_EQ(attention.heads_per_kv, 2);
  double ops = 0, weights = 0;
  for (const Kernel& kernel : model.kernels) {
    const KernelWork work = WorkOf(model, kernel, load);
    ops += kernel.runs * work.matrix_ops;
    weights += kernel.runs * work.weight_bytes;
  }
  const Work whole = WorkOf(*Describe(config, *ParseRecipe("bf16")), load);
  EXPECT_EQ(ops, static_cast<double>(whole.matrix_ops));
  EXPECT_EQ(weights, static_cast<double>(whole.weight_bytes()));
}

TEST(RankModel, RanksShareProductsAndKv) {
  const ModelConfig config = testing::TinyLlama();
  const RankModel whole = Model(config), half = Model(config, {.tensor = 2});
  const Load load = Decoding(4, 64);
  for (const char* name : {"qkv", "attention", "o", "gate-up", "down", "output"}) {
    const KernelWork all = WorkOf(whole, Find(whole, name), load), part = WorkOf(half, Find(half, name), load);
    EXPECT_EQ(part.matrix_ops * 2, all.matrix_ops) << name;
    EXPECT_EQ(part.kv_bytes * 2, all.kv_bytes) << name;
  }
  EXPECT_EQ(half.reduces_per_layer, 2);
  EXPECT_EQ(whole.reduces_per_layer, 0);
  EXPECT_EQ(half.stream_bytes_per_row, 2 * 48);
  EXPECT_EQ(half.residency.kv_code_bytes_per_token * 2, whole.residency.kv_code_bytes_per_token);
}

TEST(RankModel, FewerKvHeadsThanRanksAreHeldBySeveral) {
  const ModelConfig config = testing::TinyLlama();  // 4 heads, 2 KV heads
  const RankModel two = Model(config, {.tensor = 2}), four = Model(config, {.tensor = 4});
  EXPECT_EQ(four.residency.kv_code_bytes_per_token, two.residency.kv_code_bytes_per_token);
}

TEST(RankModel, WhatDoesNotDivideIsRefusedWithTheNumbers) {
  const Result<RankModel> model = RankModelOf(testing::TinyLlama(), *ParseRecipe("bf16"), {.tensor = 3}, {});
  ASSERT_FALSE(model.ok());
  EXPECT_EQ(model.error().code, ErrorCode::kInvalid);
  EXPECT_NE(model.error().message.find("4 heads"), std::string::npos) << model.error().message;
  EXPECT_FALSE(RankModelOf(testing::TinyLlama(), *ParseRecipe("bf16"), {.expert = 2}, {}).ok());
}

TEST(RankModel, TiedTablesLieInMemoryOnce) {
  ModelConfig tied = testing::TinyLlama(), untied = tied;
  tied.tied_embeddings = true;
  const int64_t table = int64_t{2} * tied.vocab * tied.hidden;
  EXPECT_EQ(Model(untied).residency.code_bytes - Model(tied).residency.code_bytes, table);
  // An output layer in a format of its own needs a second copy.
  EXPECT_EQ(Model(untied, {}, {}, "w4a16").residency.code_bytes, Model(tied, {}, {}, "w4a16").residency.code_bytes);
}

TEST(RankModel, ExpertsAreSplitOrDealt) {
  const ModelConfig config = testing::TinyMixtral();  // 4 experts, 2 a token
  const Load one = Decoding(1, 8), many = Decoding(64, 8);
  const RankModel whole = Model(config), split = Model(config, {.tensor = 2}),
                  dealt = Model(config, {.tensor = 2, .expert = 2});
  EXPECT_TRUE(Find(whole, "experts").experts);
  const auto weights = [&](const RankModel& model, const Load& load) {
    return WorkOf(model, Find(model, "experts"), load).weight_bytes;
  };
  EXPECT_LT(weights(whole, one), weights(whole, many));  // one token reads two of four
  EXPECT_LT(weights(split, many), weights(whole, many));
  EXPECT_NEAR(weights(dealt, many), weights(split, many), 0.05 * weights(split, many));
  EXPECT_EQ(dealt.all_to_all_bytes_per_row, 0);  // ranks of one copy have all rows
  const RankModel copies = Model(config, {.data = 2, .expert = 2});
  EXPECT_EQ(copies.all_to_all_bytes_per_row, 2 * 48 * 2);
  EXPECT_LT(copies.residency.code_bytes, whole.residency.code_bytes);
}

TEST(RankModel, UnfusedKernelsAreOneAnOperator) {
  Methods methods;
  methods.unfused = true;
  const RankModel fused = Model(testing::TinyLlama()), apart = Model(testing::TinyLlama(), {}, methods);
  EXPECT_GT(apart.kernels.size(), fused.kernels.size());
  const auto bytes = [](const RankModel& model) {
    double sum = 0;
    for (const Kernel& kernel : model.kernels) sum += kernel.runs * kernel.activation_bytes_per_row;
    return sum;
  };
  EXPECT_GT(bytes(apart), bytes(fused));
}

}  // namespace
}  // namespace lodestone
