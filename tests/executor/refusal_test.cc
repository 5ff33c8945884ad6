// What an executor is asked and must not do.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <limits>

#include "executor/step_recorder.h"
#include "hash_weights.h"
#include "runner.h"
#include "test_models.h"

namespace lodestone::testing {
namespace {

class Refusal : public ::testing::Test {
 protected:
  void SetUp() override {
    const Program program = *Describe(config_, *ParseRecipe("w4a8"));
    stage_ = *MakeStage(program, 0, PartCount(program));
    executor_ = *MakeCpuExecutor(threads_);
    ASSERT_TRUE(executor_->Configure(std::span(&stage_, 1), weights_, 2).ok());
  }

  std::string MessageOf(std::vector<Row> rows, std::vector<int32_t> table, int pages_per_sequence) {
    const Pass pass{.id = 9, .load = {}, .rows = rows, .page_table = table, .pages_per_sequence = pages_per_sequence};
    const auto result = executor_->Run(0, 0, pass, {});
    return result.ok() ? "" : result.error().message;
  }

  const ModelConfig config_ = TinyGpt2();
  const HashWeights weights_{1};
  ThreadPool threads_{1};
  Stage stage_;
  std::unique_ptr<Executor> executor_;
};

TEST_F(Refusal, RowsOutsideTheirBounds) {
  EXPECT_EQ(MessageOf({{.position = 0, .token = 3}}, {0}, 1), "");
  EXPECT_NE(MessageOf({{.position = 0, .token = 50}}, {0}, 1).find("token 50 of a vocabulary of 50"),
            std::string::npos);
  EXPECT_NE(MessageOf({{.position = 0, .token = -1}}, {0}, 1).find("token -1"), std::string::npos);
  EXPECT_NE(MessageOf({{.position = 64, .token = 3}}, {0}, 1).find("position 64"), std::string::npos);
  EXPECT_NE(MessageOf({{.position = -1, .token = 3}}, {0}, 1).find("position -1"), std::string::npos);
  EXPECT_NE(MessageOf({{.sequence = 1, .position = 0, .token = 3}}, {0}, 1).find("sequence 1"), std::string::npos);
  EXPECT_NE(MessageOf({{.position = 0, .token = 3}}, {2}, 1).find("page 2 of a store of 2"), std::string::npos);
  EXPECT_NE(MessageOf({{.position = 0, .token = 3}}, {-1}, 1).find("page -1"), std::string::npos);
  EXPECT_NE(MessageOf({}, {}, 0).find("without rows"), std::string::npos);
  // 512 learned positions: a table that would reach further does not help.
  EXPECT_NE(MessageOf({{.position = 512, .token = 3}}, std::vector<int32_t>(9, 0), 9).find("512 positions"),
            std::string::npos);
}

TEST_F(Refusal, PageCopiesOutsideTheStore) {
  const std::vector<Row> rows = {{.position = 0, .token = 3}};
  const std::vector<int32_t> table = {0};
  for (const PageCopy copy : {PageCopy{0, 2}, PageCopy{2, 0}, PageCopy{-1, 0}, PageCopy{0, -1}}) {
    const Pass pass{.id = 9,
                    .load = {},
                    .rows = rows,
                    .page_table = table,
                    .pages_per_sequence = 1,
                    .page_copies = std::span(&copy, 1)};
    const auto result = executor_->Run(0, 0, pass, {});
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.error().message,
              fmt::format("pass 9: copy of page {} to page {} in a store of 2", copy.from, copy.to));
  }
}

TEST_F(Refusal, MisuseOfTheInterface) {
  EXPECT_FALSE(executor_->Configure(std::span(&stage_, 1), weights_, 2).ok());  // twice
  const std::vector<Row> rows = {{.position = 0, .token = 3}};
  const std::vector<int32_t> table = {0};
  const Pass pass{.id = 1, .load = {}, .rows = rows, .page_table = table, .pages_per_sequence = 1};
  EXPECT_FALSE(executor_->Run(1, 0, pass, {}).ok());
  EXPECT_FALSE(executor_->Run(0, 1, pass, {}).ok());
  auto fresh = *MakeCpuExecutor(threads_);
  EXPECT_FALSE(fresh->Run(0, 0, pass, {}).ok());  // before Configure
  EXPECT_FALSE(fresh->Configure(std::span(&stage_, 1), weights_, -1).ok());
}

TEST_F(Refusal, WhatIsEstimatedAlone) {
  const auto message = [&](const Program& program) {
    const Stage stage = *MakeStage(program, 0, PartCount(program));
    const Status status = (*MakeCpuExecutor(threads_))->Configure(std::span(&stage, 1), weights_, 2);
    return status.ok() ? "" : status.error().message;
  };
  const auto described = [](const ModelConfig& config, const char* recipe) {
    return *Describe(config, *ParseRecipe(recipe));
  };
  EXPECT_NE(message(described(TinyMixtral(), "f32")).find("no mixture of 4 experts"), std::string::npos);
  EXPECT_NE(message(described(TinyLlama(), "bf16:kv8")).find("bf16 queries over int8 KV"), std::string::npos);
  EXPECT_NE(message(described(TinyLlama(), "w4a8:kv4")).find("int8 queries over int4 KV"), std::string::npos);
  EXPECT_NE(message(described(TinyLlama(), "f8")).find("fp8 inputs with fp8 weights"), std::string::npos);
  EXPECT_NE(message(described(TinyLlama(), "w2a16")).find("bf16 inputs with int2 weights"), std::string::npos);
  const auto changed = [&](auto change) {
    Program program = described(TinyLlama(), "w4a8");
    for (Op& op : program.segments[1].ops) {
      if (auto* linear = std::get_if<Linear>(&op)) change(*linear);
    }
    return message(program);
  };
  EXPECT_EQ(changed([](Linear&) {}), "");
  EXPECT_NE(changed([](Linear& l) {
              l.sparsity = {Sparsity::Pattern::kTwoOfFour, 0.5};
            }).find("no sparse products"),
            std::string::npos);
  EXPECT_NE(changed([](Linear& l) { l.idle = 0.5; }).find("no sparse products"), std::string::npos);
  Program exits = described(TinyLlama(), "w4a8");
  exits.segments[1].exited = 1;
  EXPECT_NE(message(exits).find("early exit is estimated"), std::string::npos);
}

TEST_F(Refusal, StageInputOfTheWrongShape) {
  const Program program = *Describe(config_, *ParseRecipe("w4a8"));
  const Stage later = *MakeStage(program, 1, 3);
  auto executor = *MakeCpuExecutor(threads_);
  ASSERT_TRUE(executor->Configure(std::span(&later, 1), weights_, 2).ok());
  const std::vector<Row> rows = {{.position = 0, .token = 3}};
  const std::vector<int32_t> table = {0};
  const Pass pass{.id = 1, .load = {}, .rows = rows, .page_table = table, .pages_per_sequence = 1};
  const auto result = executor->Run(0, 0, pass, Tensor{.rows = 1, .width = 47, .data = std::vector<float>(47)});
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().message, "stage input is [1][47]; expected [1][48]");
}

// A source whose tensors are broken in one place.
class BrokenWeights final : public WeightSource {
 public:
  explicit BrokenWeights(WeightKind kind, float value) : kind_(kind), value_(value) {}
  Status ReadRow(const WeightId& id, int64_t row, std::span<float> out) const override {
    LODESTONE_RETURN_IF_ERROR(good_.ReadRow(id, row, out));
    if (id.kind == kind_) out[0] = value_;
    return {};
  }
  std::string Describe() const override { return "broken"; }

 private:
  HashWeights good_{1};
  WeightKind kind_;
  float value_;
};

TEST_F(Refusal, WeightsThatAreNotFiniteAreNamed) {
  for (WeightKind kind : {WeightKind::kDown, WeightKind::kMlpNorm, WeightKind::kQBias}) {
    auto executor = *MakeCpuExecutor(threads_);
    const BrokenWeights broken(kind, std::numeric_limits<float>::infinity());
    const Status status = executor->Configure(std::span(&stage_, 1), broken, 2);
    ASSERT_FALSE(status.ok());
    EXPECT_NE(status.error().message.find(ToString(WeightId{kind, 0})), std::string::npos) << status.error().message;
  }
}

TEST_F(Refusal, StepSizesMustBePositive) {
  const Program program = *Describe(config_, *ParseRecipe("w4a8:static"));
  const Stage stage = *MakeStage(program, 0, PartCount(program));
  auto executor = *MakeCpuExecutor(threads_);
  const Status status = executor->Configure(std::span(&stage, 1), BrokenWeights(WeightKind::kKeyStep, 0), 2);
  ASSERT_FALSE(status.ok());
  EXPECT_NE(status.error().message.find("step size 0 is not a positive number"), std::string::npos)
      << status.error().message;
}

TEST_F(Refusal, CalibrationRecordsEveryStaticQuantizer) {
  const Program program = *Describe(config_, *ParseRecipe("w4a8:static"));
  const Stage stage = *MakeStage(program, 0, PartCount(program));
  StepRecorder recorder;
  auto executor = *MakeCalibratingExecutor(threads_, recorder);
  ASSERT_TRUE(executor->Configure(std::span(&stage, 1), weights_, 2).ok());
  const auto rows = RowsOf(SomeTokens(10, config_.vocab, 1));
  const std::vector<int32_t> table = {0};
  ASSERT_TRUE(
      executor->Run(0, 0, {.id = 1, .load = {}, .rows = rows, .page_table = table, .pages_per_sequence = 1}, {}).ok());
  // Of each of 3 layers: attention input, Q, K, V, P, attended, MLP input, down input; and the output layer's input.
  EXPECT_EQ(recorder.maxima().size(), 3u * 8 + 1);
  for (const auto& [key, largest] : recorder.maxima()) EXPECT_GT(largest, 0);
}

}  // namespace
}  // namespace lodestone::testing
