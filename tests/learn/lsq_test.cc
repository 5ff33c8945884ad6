#include "learn/lsq.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "kernels/dispatch.h"
#include "learn/noise.h"
#include "learn/quantized_linear.h"
#include "numerics/rounding.h"

namespace lodestone::testing {
namespace {

const kernels::KernelTable& Table() { return **kernels::SelectFromEnvironment(); }

double SquaredLoss(std::span<const float> x, float step, const LsqRange& range) {
  double sum = 0;
  for (const float value : x) {
    const double code = std::nearbyint(std::clamp(double{value} / step, double{range.low}, double{range.high}));
    sum += std::pow(double{value} - code * step, 2);
  }
  return sum;
}

// What LSQ differentiates: x̂(step) with the codes' rounding as it is at `at`, whose derivative equation 3 gives.
// Inside, x̂ = step × (x / step + r) with the remainder r = round(x / at) − x / at held, so ∂x̂/∂step = r; outside, a
// constant times step.
double Surrogate(float x, double step, double at, const LsqRange& range) {
  const double v = double{x} / at;
  if (v <= range.low) return range.low * step;
  if (v >= range.high) return range.high * step;
  return double{x} + step * (std::nearbyint(v) - v);
}

TEST(Lsq, RangesAreThoseOfTheCodes) {
  EXPECT_EQ(LsqRangeOf(Code::kInt4).low, -7);
  EXPECT_EQ(LsqRangeOf(Code::kInt8).high, 127);
  EXPECT_EQ(LsqRangeOf(Code::kUint4).low, 0);
  EXPECT_EQ(LsqRangeOf(Code::kUint4).high, 15);
}

TEST(InitialStep, LosesAboutAsLittleAsTheBestOfAFineSearch) {
  for (const Code code : {Code::kInt4, Code::kInt8, Code::kUint4}) {
    const LsqRange range = LsqRangeOf(code);
    for (const bool outlier : {false, true}) {
      std::vector<float> x = Noise(2000, 7);
      if (range.low == 0) {
        for (float& value : x) value = std::abs(value);
      }
      if (outlier) x[17] = 60;
      const double found = SquaredLoss(x, InitialStep(x, range), range);
      double best = found;
      for (float step = LargestMagnitude(x) / range.high; step > 1e-3F; step *= 0.995F) {
        best = std::min(best, SquaredLoss(x, step, range));
      }
      EXPECT_LE(found, 1.05 * best) << ToString(code) << (outlier ? " with an outlier" : "");
    }
  }
}

TEST(InitialStep, IsPositiveAndNormalForWhateverIsFinite) {
  const LsqRange range = LsqRangeOf(Code::kInt4);
  for (const float magnitude : {0.0F, 1e-44F, 1e-38F, 1e-30F, 1.0F, 1e30F, 3e38F}) {
    const std::vector<float> x = {magnitude, -magnitude / 3, magnitude / 5, 0};
    const float step = InitialStep(x, range);
    EXPECT_TRUE(std::isnormal(step) && step > 0) << magnitude;
  }
  EXPECT_GT(InitialStep({}, range), 0);
  const std::vector<float> large = Noise((1 << 16) * 3 + 5, 3);
  EXPECT_NEAR(InitialStep(large, range), InitialStep(std::span(large).first(1 << 16), range), 0.02);
}

TEST(InitialStep, OfManyValuesMeetsEveryColumn) {
  constexpr size_t kRows = 2048, kColumns = 128;  // four times what is looked at
  std::vector<float> by_rows = Noise(kRows * kColumns, 9), by_columns(by_rows.size());
  for (size_t r = 0; r < kRows; ++r) {
    for (size_t c = 0; c < kColumns; ++c) {
      if (c % 4 == 1) by_rows[r * kColumns + c] *= 10;
      by_columns[c * kRows + r] = by_rows[r * kColumns + c];
    }
  }
  const LsqRange range = LsqRangeOf(Code::kInt4);
  EXPECT_NEAR(InitialStep(by_rows, range), InitialStep(by_columns, range), 0.05 * InitialStep(by_columns, range));
}

TEST(InitialStep, IsExactForCodesThatFit) {
  std::vector<float> x;
  for (int code = -7; code <= 7; ++code) x.push_back(0.375F * static_cast<float>(code));
  EXPECT_FLOAT_EQ(InitialStep(x, LsqRangeOf(Code::kInt4)), 0.375F);
}

TEST(LsqForward, ValuesAreCodesTimesStepAndGiveTheirCodesBack) {
  ThreadPool threads(2);
  constexpr int kRows = 3, kN = 70, kPadded = 128;
  const std::vector<float> x = Noise(kRows * kN, 1);
  for (const float step : {0.1F, 0.0371F, 3.0F}) {
    std::vector<int8_t> codes(kRows * kPadded, 99), again(codes);
    std::vector<float> values(kRows * kN);
    LsqForward(Table(), threads, x.data(), kN, kRows, kN, kPadded, step, 7, codes.data());
    LsqValues(Table(), threads, x.data(), kN, kRows, kN, step, 7, values.data(), kN);
    LsqForward(Table(), threads, values.data(), kN, kRows, kN, kPadded, step, 7, again.data());
    EXPECT_EQ(codes, again);
    for (int r = 0; r < kRows; ++r) {
      for (int i = 0; i < kPadded; ++i) {
        const int8_t code = codes[r * kPadded + i];
        if (i >= kN) {
          EXPECT_EQ(code, 0);
          continue;
        }
        EXPECT_EQ(values[r * kN + i], static_cast<float>(code) * step);
        EXPECT_EQ(code, QuantizeValue(x[r * kN + i], 1 / step, 7));
      }
    }
  }
}

TEST(LsqBackward, IsTheGradientOfTheSurrogate) {
  ThreadPool threads(2);
  const kernels::TrainingTable& table = kernels::TrainingTableFor(Table());
  constexpr int kRows = 5, kN = 37;
  const std::vector<float> x = Noise(kRows * kN, 2), dy = Noise(kRows * kN, 3);
  for (const Code code : {Code::kInt4, Code::kInt8, Code::kUint4}) {
    const LsqRange range = LsqRangeOf(code);
    const float step = code == Code::kInt8 ? 0.011F : 0.17F;  // some values are clipped
    std::vector<float> dx(x.size());
    const float gradient =
        LsqBackward(table, threads, x.data(), kN, dy.data(), kN, dx.data(), kN, kRows, kN, step, range);
    const double h = 1e-4 * step;
    double expected = 0;
    int clipped = 0;
    for (size_t i = 0; i < x.size(); ++i) {
      const double v = double{x[i]} / step;
      const bool inside = v > range.low && v < range.high;
      clipped += !inside;
      EXPECT_EQ(dx[i], inside ? dy[i] : 0) << i;
      expected +=
          double{dy[i]} * (Surrogate(x[i], step + h, step, range) - Surrogate(x[i], step - h, step, range)) / (2 * h);
    }
    EXPECT_GT(clipped, 0);
    expected /= std::sqrt(double{kN} * range.high);
    EXPECT_NEAR(gradient, expected, 1e-4 * std::abs(expected) + 1e-6) << ToString(code);
    // In place, and the same whatever the threads.
    std::vector<float> in_place = dy;
    ThreadPool one(1);
    EXPECT_EQ(LsqBackward(table, one, x.data(), kN, in_place.data(), kN, in_place.data(), kN, kRows, kN, step, range),
              gradient);
    EXPECT_EQ(in_place, dx);
  }
}

TEST(LsqBackward, OfTwoBatchesIsTheSumOfTheirs) {
  ThreadPool threads(1);
  const kernels::TrainingTable& table = kernels::TrainingTableFor(Table());
  constexpr int kRows = 8, kN = 32;
  const std::vector<float> x = Noise(kRows * kN, 5), dy = Noise(kRows * kN, 6);
  const LsqRange range = LsqRangeOf(Code::kInt4);
  std::vector<float> dx(x.size());
  const auto gradient = [&](int first, int rows) {
    const int64_t at = int64_t{first} * kN;
    return LsqBackward(table, threads, x.data() + at, kN, dy.data() + at, kN, dx.data(), kN, rows, kN, 0.2F, range);
  };
  EXPECT_NEAR(gradient(0, kRows), gradient(0, 3) + gradient(3, kRows - 3), 1e-5);
}

class QuantizedWeightTest : public ::testing::TestWithParam<Code> {
 protected:
  static constexpr int kN = 37, kK = 70;
  const Format format_{.code = GetParam(), .scales = Scales::kChannel};
  const int max_code_ = MaxCode(GetParam());
  ThreadPool threads_{2};
  std::vector<float> w_ = Noise(kN * kK, 11);
  std::vector<float> steps_ = std::vector<float>(kN);

  void SetUp() override {
    for (int i = 0; i < kK; ++i) w_[5 * kK + i] = 0;  // a channel of zeros
    InitialWeightSteps(w_, kN, kK, max_code_, steps_, threads_);
  }
};

TEST_P(QuantizedWeightTest, PacksTheCodesAtItsSteps) {
  auto weight = QuantizedWeight::Make(format_, kN, kK);
  ASSERT_TRUE(weight.ok());
  ASSERT_TRUE(weight->Refresh(w_, steps_, threads_).ok());
  std::vector<float> values(w_.size());
  weight->Values(w_, steps_, values, threads_);
  for (int o = 0; o < kN; ++o) {
    QuantizedRow row;
    RoundRowAt(steps_[o], max_code_, std::span(w_).subspan(o * kK, kK), row);
    for (int i = 0; i < kK; ++i) {
      EXPECT_EQ(UnpackedCode(weight->packed(), o, i), row.codes[i]);
      EXPECT_EQ(UnpackedValue(weight->packed(), o, i), values[o * kK + i]);
    }
  }
  // Warm start loses no more than rounding at the largest magnitude.
  for (int o = 0; o < kN; ++o) {
    const auto row = std::span<const float>(w_).subspan(o * kK, kK);
    if (LargestMagnitude(row) == 0) continue;
    const LsqRange range{.low = static_cast<float>(-max_code_), .high = static_cast<float>(max_code_)};
    EXPECT_LE(SquaredLoss(row, steps_[o], range), SquaredLoss(row, LargestMagnitude(row) / range.high, range));
  }
}

TEST_P(QuantizedWeightTest, RefusesWhatCannotBePacked) {
  auto weight = QuantizedWeight::Make(format_, kN, kK);
  ASSERT_TRUE(weight.ok());
  for (const float bad : {0.0F, -0.1F, std::nanf(""), HUGE_VALF, 1e-40F}) {
    std::vector<float> steps = steps_;
    steps[20] = bad;
    const Status status = weight->Refresh(w_, steps, threads_);
    ASSERT_FALSE(status.ok()) << bad;
    EXPECT_NE(status.error().message.find("channel 20"), std::string::npos);
  }
  w_[kK * 3 + 1] = HUGE_VALF;
  ASSERT_FALSE(weight->Refresh(w_, steps_, threads_).ok());
}

TEST_P(QuantizedWeightTest, MultipliesAsTheReferenceDoes) {
  auto weight = QuantizedWeight::Make(format_, kN, kK);
  ASSERT_TRUE(weight.ok());
  ASSERT_TRUE(weight->Refresh(w_, steps_, threads_).ok());
  constexpr int kRows = 5;
  const int padded = weight->packed().padded_k();
  const std::vector<float> x = Noise(kRows * kK, 4), bias = Noise(kN, 8);
  std::vector<int8_t> codes(static_cast<size_t>(kRows * padded));
  const float step = 0.02F;
  LsqForward(Table(), threads_, x.data(), kK, kRows, kK, padded, step, 127, codes.data());
  std::vector<float> y(kRows * kN);
  QuantizedForward(Table(), threads_, weight->packed(), codes.data(), step, kRows, bias.data(), 0.5F, y.data(), kN);
  for (int r = 0; r < kRows; ++r) {
    for (int o = 0; o < kN; ++o) {
      int32_t sum = 0;
      for (int i = 0; i < kK; ++i) sum += codes[r * padded + i] * UnpackedCode(weight->packed(), o, i);
      EXPECT_EQ(y[r * kN + o], 0.5F * (static_cast<float>(sum) * (step * steps_[o])) + bias[o]);
    }
  }
}

TEST_P(QuantizedWeightTest, BackwardAddsLsqGradients) {
  auto weight = QuantizedWeight::Make(format_, kN, kK);
  ASSERT_TRUE(weight.ok());
  const kernels::TrainingTable& table = kernels::TrainingTableFor(Table());
  const LsqRange range{.low = static_cast<float>(-max_code_), .high = static_cast<float>(max_code_)};
  for (float& step : steps_) step *= 0.7F;  // so that some weights are clipped
  const std::vector<float> dvalues = Noise(kN * kK, 12);
  std::vector<float> scratch = dvalues, dw(w_.size(), 1), dsteps(kN, 2);
  weight->Backward(table, w_, steps_, scratch, dw, dsteps, threads_);
  for (int o = 0; o < kN; ++o) {
    const double step = steps_[o], h = 1e-4 * step;
    double expected = 0;
    for (int i = 0; i < kK; ++i) {
      const size_t at = o * kK + i;
      const bool inside = std::abs(double{w_[at]}) / step < range.high;
      EXPECT_EQ(dw[at], 1 + (inside ? dvalues[at] : 0));
      expected += double{dvalues[at]} *
                  (Surrogate(w_[at], step + h, step, range) - Surrogate(w_[at], step - h, step, range)) / (2 * h);
    }
    expected /= std::sqrt(double{kK} * range.high);
    EXPECT_NEAR(dsteps[o], 2 + expected, 1e-3 * std::abs(expected) + 1e-5);
  }
}

INSTANTIATE_TEST_SUITE_P(Codes, QuantizedWeightTest, ::testing::Values(Code::kInt4, Code::kInt8),
                         [](const auto& code) { return std::string(ToString(code.param)); });

}  // namespace
}  // namespace lodestone::testing
