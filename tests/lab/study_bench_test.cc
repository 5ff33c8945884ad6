#include <gtest/gtest.h>

#include <algorithm>

#include "lab/study/bench.h"
#include "lab/study/session.h"
#include "test_models.h"

namespace lodestone::testing {
namespace {

StudyCase Tiny(const std::string& recipe) {
  StudyCase test{.model = "tiny", .config = TinyGpt2(), .recipe = recipe, .sequence = 32, .batch = 2};
  test.config.layers = 2;
  test.config.hidden = 64;
  test.config.ffn = 128;
  return test;
}

StudyCase TinyBlock(const std::string& recipe) {
  return {.model = kBlockModel, .config = *BlockConfig(64, 32), .recipe = recipe, .sequence = 32, .batch = 2};
}

Result<StudyResult> RunOnce(const StudyCase& test, const StudyClock& clock) {
  ThreadPool threads(2);
  const std::unique_ptr<Reducer> reducer = SingleRank();
  return RunStudyCase(test, clock, threads, *reducer);
}

TEST(StudyBench, SeededTokensAreTheSameEverywhereAndSkewed) {
  const std::vector<int32_t> tokens = SeededTokens(1, 0, 4096, 50257);
  EXPECT_EQ(tokens, SeededTokens(1, 0, 4096, 50257));
  EXPECT_NE(tokens, SeededTokens(1, 1, 4096, 50257));
  EXPECT_NE(tokens, SeededTokens(2, 0, 4096, 50257));
  EXPECT_TRUE(std::all_of(tokens.begin(), tokens.end(), [](int32_t id) { return id >= 0 && id < 50257; }));
  // One octave of ids of sixteen is id 0 alone.
  EXPECT_NEAR(static_cast<double>(std::count(tokens.begin(), tokens.end(), 0)), 4096.0 / 16, 60);
  for (const int vocab : {1, 2, 3, 16, 69}) {
    const std::vector<int32_t> few = SeededTokens(1, 0, 512, vocab);
    EXPECT_TRUE(std::all_of(few.begin(), few.end(), [&](int32_t id) { return id >= 0 && id < vocab; })) << vocab;
  }
}

TEST(StudyBench, AStepIsTimedAndLearns) {
  const Result<StudyResult> result = RunOnce(Tiny("f32"), {.warmup = 10, .repetitions = 30});
  ASSERT_TRUE(result.ok()) << result.error().message;
  ASSERT_TRUE(result->ok()) << result->reason;
  EXPECT_EQ(result->step_s.size(), 30u);
  EXPECT_EQ(result->forward_s.size(), 30u);
  EXPECT_EQ(result->optimizer_s.size(), 30u);
  EXPECT_TRUE(result->reduce_s.empty());
  EXPECT_EQ(result->steps, 40);
  for (size_t i = 0; i < 30; ++i) EXPECT_LT(result->optimizer_s[i], result->step_s[i]);
  EXPECT_LT(result->last_loss, result->first_loss - 0.05);
  EXPECT_GT(result->activation_bytes, 0);
  EXPECT_GT(result->peak_resident_bytes.value_or(0), 0);
}

// Gradients are sums over micro-batches: two of one sequence are one of two, up to the order of sums.
TEST(StudyBench, AccumulationIsTheSameStep) {
  StudyCase whole = Tiny("f32"), parts = whole;
  parts.batch = 1;
  parts.accumulation = 2;
  ThreadPool threads(1);
  const std::unique_ptr<Reducer> reducer = SingleRank();
  const auto a = TrainingSession::Make(whole, 1, threads, *reducer);
  const auto b = TrainingSession::Make(parts, 1, threads, *reducer);
  ASSERT_TRUE(a.ok() && b.ok());
  for (int step = 0; step < 3; ++step) {
    const auto of_whole = (*a)->Step(), of_parts = (*b)->Step();
    ASSERT_TRUE(of_whole.ok() && of_parts.ok());
    EXPECT_EQ(of_whole->loss.tokens, 64);
    EXPECT_EQ(of_parts->loss.tokens, 64);
    EXPECT_NEAR(of_whole->loss.mean(), of_parts->loss.mean(), 1e-4) << step;
  }
}

// Looking ahead changes nothing: the loss of the next batch is the step's own.
TEST(StudyBench, ForwardIsOfTheBatchThatComesNext) {
  ThreadPool threads(1);
  const std::unique_ptr<Reducer> reducer = SingleRank();
  const auto session = TrainingSession::Make(Tiny("f32"), 1, threads, *reducer);
  ASSERT_TRUE(session.ok()) << session.error().message;
  for (int step = 0; step < 2; ++step) {
    const auto forward = (*session)->Forward();
    const auto both = (*session)->Step();
    ASSERT_TRUE(forward.ok() && both.ok());
    EXPECT_DOUBLE_EQ(forward->loss.nats, both->loss.nats);
  }
}

TEST(StudyBench, SparseTrainingKeepsItsZeros) {
  for (const SparsityPattern pattern :
       {SparsityPattern::kUnstructured, SparsityPattern::k2of4, SparsityPattern::kTileBlocks}) {
    StudyCase test = Tiny("f32");
    test.sparsity = {.pattern = pattern, .level = 0.5, .block_rows = 16, .block_columns = 16};
    ThreadPool threads(1);
    const std::unique_ptr<Reducer> reducer = SingleRank();
    const auto session = TrainingSession::Make(test, 1, threads, *reducer);
    ASSERT_TRUE(session.ok()) << session.error().message;
    const auto zeros = [&] {
      const Parameter* up = (*session)->parameters().Find({WeightKind::kUp, 1}, ParameterRole::kTensor);
      const std::span<const float> w = (*session)->parameters().values(*up);
      return std::count(w.begin(), w.end(), 0.0f);
    };
    EXPECT_EQ(zeros(), 128 * 64 / 2);
    for (int i = 0; i < 3; ++i) {
      const auto timed = (*session)->Step();
      ASSERT_TRUE(timed.ok()) << timed.error().message;
    }
    EXPECT_EQ(zeros(), 128 * 64 / 2) << ToString(pattern);
    EXPECT_DOUBLE_EQ((*session)->masks().level(), 0.5);
  }
}

TEST(StudyBench, TileBlocksAreTimedAgainstDenseInTurn) {
  StudyCase test = TinyBlock("f32");
  test.sparsity = {.pattern = SparsityPattern::kTileBlocks, .level = 0.75};
  const Result<StudyResult> result = RunOnce(test, {.warmup = 1, .repetitions = 3});
  ASSERT_TRUE(result.ok()) << result.error().message;
  ASSERT_TRUE(result->mlp.has_value());
  for (const auto* times : {&result->mlp->dense_forward_s, &result->mlp->sparse_forward_s,
                            &result->mlp->dense_training_s, &result->mlp->sparse_training_s}) {
    EXPECT_EQ(times->size(), 3u);
  }
  EXPECT_DOUBLE_EQ(result->sparsity, 0.75);
}

TEST(StudyBench, ABlockRunsInEveryFormat) {
  for (const char* recipe : {"f32", "bf16", "w8a8", "w4a8", "w4a4"}) {
    const Result<StudyResult> result = RunOnce(TinyBlock(recipe), {.warmup = 1, .repetitions = 2});
    ASSERT_TRUE(result.ok()) << result.error().message;
    ASSERT_TRUE(result->ok()) << result->reason;
    EXPECT_EQ(result->forward_s.size(), 2u) << recipe;
    EXPECT_EQ(result->step_s.size(), TinyBlock(recipe).integer() ? 0u : 2u) << recipe;
    EXPECT_TRUE(result->optimizer_s.empty());
  }
}

TEST(StudyBench, WhatDoesNotFitIsAResultWithTheArithmetic) {
  StudyCase test = Tiny("f32");
  test.model = "genslm-25b";
  test.config = *LoadModelConfig("genslm-25b");
  test.config.layers = 6400;  // beyond any machine
  const Result<StudyResult> result = RunOnce(test, {});
  ASSERT_TRUE(result.ok()) << result.error().message;
  EXPECT_NE(result->reason.find("parameters × (4 value + 4 gradient + 4 + 4 moments) bytes"), std::string::npos)
      << result->reason;
}

}  // namespace
}  // namespace lodestone::testing
