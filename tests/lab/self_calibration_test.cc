#include "lab/self_calibration.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>

#include "plan/machine_estimate.h"

namespace lodestone {
namespace {

Machine Host() {
  HostLimits limits;
  limits.cpu_name = "test";
  limits.threads = 2;
  limits.measured_at = "2026-01-01";
  const auto rate = [](double value) {
    const Figure figure{.value = value, .source = FieldSource::kMeasured, .note = "test"};
    return HostRate{.one = figure, .all = figure};
  };
  limits.l3_bytes = Figure{.value = 32e6, .source = FieldSource::kMeasured};
  limits.l3_bytes_per_s = rate(120e9);
  limits.dram_bytes_per_s = rate(30e9);
  limits.f32_ops_per_s = rate(200e9);
  limits.int8_avx2_ops_per_s = rate(600e9);
  return MachineOf(limits);
}

std::vector<HostRow> Rows(const char* model) {
  const auto row = [&](InferenceCase test) {
    return HostRow{.name = model, .config = *LoadModelConfig(model), .recipe = *ParseRecipe("w8a8"), .test = test};
  };
  return {row({.prompt_tokens = 64}),
          row({.prompt_tokens = 1000}),
          row({.tokens = 32}),
          row({.tokens = 32, .depth = 800}),
          row({.tokens = 32, .batch = 8}),
          row({.tokens = 32, .depth = 700, .batch = 8})};
}

// Rows "measured" on a host of these factors.
std::vector<HostRow> Measured(const char* model, const Efficiency& truth) {
  std::vector<HostRow> rows = Rows(model);
  for (HostRow& row : rows) row.seconds = *EstimatedSeconds(Host(), truth, row);
  return rows;
}

Efficiency Truth() {
  Efficiency truth = IdealEfficiency();
  truth.matrix.value = 0.4;
  truth.matrix_rows.value = 3;
  truth.memory.value = 0.8;
  truth.kv.value = 0.5;
  truth.attention.value = 0.1;
  truth.vector.value = 0.2;
  truth.launch_s.value = 8e-6;
  truth.step_s.value = 1e-4;
  return truth;
}

TEST(SelfCalibration, OtherShapesAreEstimatedByWhatRowsTell) {
  std::vector<HostRow> rows = Measured("gpt2-large", Truth());
  const std::vector<HostRow> smaller = Measured("gpt2-medium", Truth());
  rows.insert(rows.end(), smaller.begin(), smaller.end());
  const Result<SelfCalibration> calibration = SelfCalibrate(Host(), rows);
  ASSERT_TRUE(calibration.ok()) << calibration.error().message;
  EXPECT_LT(calibration->error, 0.02);
  for (const char* other : {"granite-3b-14l", "gpt2-xl"}) {
    for (const HostRow& row : Measured(other, Truth())) {
      const Result<double> seconds = EstimatedSeconds(Host(), calibration->efficiency, row);
      ASSERT_TRUE(seconds.ok());
      EXPECT_NEAR(std::log(*seconds / row.seconds), 0, 0.05) << other << " " << row.test.Name();
    }
  }
  for (const EfficiencyField& field : EfficiencyFields()) {
    const Figure& figure = calibration->efficiency.*field.member;
    if (figure.low) {
      EXPECT_LE(*figure.low, figure.value) << field.key;
    }
    if (figure.high) {
      EXPECT_GE(*figure.high, figure.value) << field.key;
    }
  }
}

TEST(SelfCalibration, IsDeterministic) {
  const std::vector<HostRow> rows = Measured("gpt2-xl", Truth());
  const Result<SelfCalibration> a = SelfCalibrate(Host(), rows), b = SelfCalibrate(Host(), rows);
  ASSERT_TRUE(a.ok() && b.ok());
  for (const EfficiencyField& field : EfficiencyFields()) {
    EXPECT_EQ((a->efficiency.*field.member).value, (b->efficiency.*field.member).value) << field.key;
  }
}

TEST(SelfCalibration, RefusesWhatIsNoBench) {
  EXPECT_FALSE(SelfCalibrate(Host(), {}).ok());
  const std::string path = ::testing::TempDir() + "rows.json";
  const auto refusal = [&](const char* text) {
    std::ofstream(path) << text;
    const Result<std::vector<HostRow>> rows = ReadHostRows(path);
    EXPECT_FALSE(rows.ok()) << text;
    return rows.ok() ? std::string() : rows.error().message;
  };
  EXPECT_NE(refusal("{}").find("bench inference"), std::string::npos);
  EXPECT_NE(refusal("[{}]").find("model_type"), std::string::npos);
  EXPECT_NE(refusal(R"([{"model_type": "gpt2", "recipe": "w8a8", "n_prompt": 1, "n_gen": 1, "batch": 1, "n_batch": 8,
                         "avg_ns": 5}])")
                .find("n_gen"),
            std::string::npos);
  EXPECT_NE(refusal(R"([{"model_type": "gpt2", "recipe": "w8a8", "n_prompt": 1, "n_gen": 0, "batch": 0, "n_batch": 8,
                         "avg_ns": 5}])")
                .find("batch"),
            std::string::npos);
  std::ofstream(path) << R"([{"model_type": "random:gpt2@1", "recipe": "w8a8", "n_prompt": 8, "n_gen": 0, "batch": 2,
                              "n_batch": 4, "avg_ns": 5e6, "whatever": 1}])";
  const Result<std::vector<HostRow>> rows = ReadHostRows(path);
  ASSERT_TRUE(rows.ok()) << rows.error().message;
  EXPECT_EQ(rows->at(0).test.batch, 2);
  EXPECT_DOUBLE_EQ(rows->at(0).seconds, 5e-3);
}

}  // namespace
}  // namespace lodestone
