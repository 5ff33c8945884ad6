#include "learn/optimizer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "hash_weights.h"
#include "test_models.h"

namespace lodestone::testing {
namespace {

Parameters Made(const std::string& recipe) {
  Parameters parameters = *Parameters::Make(TinyLlama(), *ParseRecipe(recipe));
  EXPECT_TRUE(parameters.Load(HashWeights(3)).ok());
  return parameters;
}

void FillGradients(Parameters& parameters, float scale) {
  const std::span<float> gradients = parameters.all_gradients();
  parameters.ZeroGradients();
  for (const Parameter& p : parameters.list()) {
    for (int64_t i = p.offset; i < p.offset + p.count(); ++i) {
      gradients[static_cast<size_t>(i)] = scale * std::sin(static_cast<float>(i));
    }
  }
}

TEST(LearningRate, WarmsUpThenFallsByHalfACosine) {
  const OptimizerSettings settings{.learning_rate = 1, .warmup_steps = 4, .cosine = true, .final_fraction = 0.1};
  EXPECT_DOUBLE_EQ(LearningRate(settings, 0, 104), 0.25);
  EXPECT_DOUBLE_EQ(LearningRate(settings, 3, 104), 1);
  EXPECT_DOUBLE_EQ(LearningRate(settings, 4, 104), 1);
  EXPECT_NEAR(LearningRate(settings, 4 + 99 / 3, 104), 0.1 + 0.9 * 0.75, 1e-12);  // cos(π/3) = ½
  EXPECT_NEAR(LearningRate(settings, 103, 104), 0.1, 1e-12);
  EXPECT_NEAR(LearningRate(settings, 1000, 104), 0.1, 1e-12);
  for (int64_t step = 5; step < 104; ++step) {
    EXPECT_LT(LearningRate(settings, step, 104), LearningRate(settings, step - 1, 104));
  }
  OptimizerSettings constant = settings;
  constant.cosine = false;
  EXPECT_DOUBLE_EQ(LearningRate(constant, 100, 104), 1);
  // One step alone, and a warm-up as long as the run.
  EXPECT_DOUBLE_EQ(LearningRate({.learning_rate = 2}, 0, 1), 2);
  EXPECT_DOUBLE_EQ(LearningRate({.learning_rate = 2, .warmup_steps = 10}, 9, 10), 2);
}

// Algorithm 2 of Loshchilov and Hutter 2019, in double.
TEST(AdamW, IsTheAlgorithmOfThePaper) {
  Parameters parameters = Made("f32");
  const OptimizerSettings settings{.learning_rate = 0.01, .weight_decay = 0.1, .clip_norm = 0, .cosine = false};
  AdamW optimizer = *AdamW::Make(parameters, settings);
  ThreadPool threads(2);
  const std::span<float> values = parameters.all_values();
  std::vector<double> expected(values.begin(), values.end()), first(values.size()), second(values.size());
  for (int64_t step = 0; step < 5; ++step) {
    FillGradients(parameters, static_cast<float>(step + 1));
    const std::vector<float> gradients(parameters.all_gradients().begin(), parameters.all_gradients().end());
    const auto report = optimizer.Step(parameters, step, 5, 0.5, threads);
    ASSERT_TRUE(report.ok()) << report.error().message;
    for (const Parameter& p : parameters.list()) {
      const double decay = p.rows > 1 ? settings.weight_decay : 0;  // a vector has one row
      for (auto i = static_cast<size_t>(p.offset); i < static_cast<size_t>(p.offset + p.count()); ++i) {
        const double g = 0.5 * static_cast<double>(gradients[i]);
        first[i] = settings.beta1 * first[i] + (1 - settings.beta1) * g;
        second[i] = settings.beta2 * second[i] + (1 - settings.beta2) * g * g;
        const double m = first[i] / (1 - std::pow(settings.beta1, step + 1));
        const double v = second[i] / (1 - std::pow(settings.beta2, step + 1));
        expected[i] -= settings.learning_rate * (m / (std::sqrt(v) + settings.eps) + decay * expected[i]);
      }
    }
  }
  for (const Parameter& p : parameters.list()) {
    for (auto i = static_cast<size_t>(p.offset); i < static_cast<size_t>(p.offset + p.count()); ++i) {
      // Five updates of at most 0.01 (1 + decay) each, every one within some ulp of f32 of itself and of the value.
      ASSERT_NEAR(values[i], expected[i], 5 * 8 * 6e-8 * (0.02 + std::abs(expected[i]))) << ToString(p.id) << " " << i;
    }
  }
}

TEST(AdamW, TheReportedNormIsOfTheWholeGradientAndClippingBoundsTheUpdate) {
  Parameters parameters = Made("f32");
  FillGradients(parameters, 3);
  double squares = 0;
  for (const float g : parameters.all_gradients()) squares += static_cast<double>(g) * static_cast<double>(g);
  ThreadPool threads(1);
  AdamW plain = *AdamW::Make(parameters, {.clip_norm = 0});
  AdamW clipped = *AdamW::Make(parameters, {.clip_norm = 1});
  const auto report = clipped.Step(parameters, 0, 10, 2, threads);
  ASSERT_TRUE(report.ok());
  EXPECT_NEAR(report->gradient_norm, 2 * std::sqrt(squares), 1e-9 * std::sqrt(squares));
  // First moments are (1 − β1) times the clipped gradient, whose norm is 1.
  double moment = 0;
  for (const float m : clipped.first_moments()) moment += static_cast<double>(m) * static_cast<double>(m);
  EXPECT_NEAR(std::sqrt(moment), 0.1, 1e-5);
  ASSERT_TRUE(plain.Step(parameters, 0, 10, 2, threads).ok());
}

TEST(AdamW, TheBitsDoNotDependOnTheThreads) {
  std::vector<float> one;
  for (const int count : {1, 2, 3}) {
    Parameters parameters = Made("f32");
    AdamW optimizer = *AdamW::Make(parameters, {});
    ThreadPool threads(count);
    for (int64_t step = 0; step < 3; ++step) {
      FillGradients(parameters, 1);
      ASSERT_TRUE(optimizer.Step(parameters, step, 3, 1, threads).ok());
    }
    const std::vector<float> values(parameters.all_values().begin(), parameters.all_values().end());
    if (one.empty()) one = values;
    EXPECT_EQ(values, one) << count << " threads";
  }
}

TEST(AdamW, AGradientThatIsNotFiniteChangesNothing) {
  Parameters parameters = Made("f32");
  const std::vector<float> before(parameters.all_values().begin(), parameters.all_values().end());
  AdamW optimizer = *AdamW::Make(parameters, {});
  ThreadPool threads(1);
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    FillGradients(parameters, 1);
    parameters.all_gradients()[17] = bad;
    const auto report = optimizer.Step(parameters, 0, 1, 1, threads);
    ASSERT_FALSE(report.ok());
    EXPECT_NE(report.error().message.find("norm is"), std::string::npos);
    EXPECT_EQ(std::vector<float>(parameters.all_values().begin(), parameters.all_values().end()), before);
    for (const float m : optimizer.first_moments()) ASSERT_EQ(m, 0);
  }
}

TEST(AdamW, StepSizesLearnAtTheirOwnRateAndStayPositive) {
  Parameters parameters = Made("w4a4:static");
  std::vector<const Parameter*> steps;
  for (const Parameter& p : parameters.list()) {
    if (p.role == ParameterRole::kTensor) continue;
    steps.push_back(&p);
    for (float& value : parameters.values(p)) value = 0.01F;
  }
  ASSERT_FALSE(steps.empty());
  AdamW optimizer =
      *AdamW::Make(parameters, {.learning_rate = 1e-5, .cosine = false, .step_rate_factor = 200, .step_rate_steps = 1});
  ThreadPool threads(1);
  parameters.ZeroGradients();
  for (const Parameter* p : steps) {
    for (float& gradient : parameters.gradients(*p)) gradient = -1e-3F;
  }
  ASSERT_TRUE(optimizer.Step(parameters, 0, 2, 1, threads).ok());
  // Adam's first update is the rate itself, here of the step as a part of itself; × 200 for activations alone.
  const auto rate = [&](const Parameter* p) { return p->role == ParameterRole::kActivationStep ? 2e-3 : 1e-5; };
  for (const Parameter* p : steps) EXPECT_NEAR(parameters.values(*p)[0], 0.01 * (1 + rate(p)), 2e-9) << p->offset;
  ASSERT_TRUE(optimizer.Step(parameters, 1, 2, 1, threads).ok());
  for (const Parameter* p : steps) {
    EXPECT_NEAR(parameters.values(*p)[0], 0.01 * (1 + rate(p)) * (1 + 1e-5), 4e-9) << p->offset;
  }
  // An update that a large step would swallow if it were added to it.
  AdamW slow = *AdamW::Make(parameters, {.learning_rate = 1e-7, .clip_norm = 0, .cosine = false});
  for (int64_t step = 0; step < 2; ++step) {
    parameters.values(*steps[0])[0] = 1000;
    ASSERT_TRUE(slow.Step(parameters, step, 2, 1, threads).ok());
    EXPECT_NEAR(parameters.values(*steps[0])[0], 1000 * (1 + 1e-7), 4e-5);
  }

  // An update larger than the step itself halves it.
  AdamW large = *AdamW::Make(parameters, {.learning_rate = 1, .clip_norm = 0, .cosine = false});
  for (const Parameter* p : steps) {
    for (float& value : parameters.values(*p)) value = 0.01F;
    for (float& gradient : parameters.gradients(*p)) gradient = 1e-3F;
  }
  ASSERT_TRUE(large.Step(parameters, 0, 2, 1, threads).ok());
  for (const Parameter* p : steps) {
    for (const float value : parameters.values(*p)) ASSERT_FLOAT_EQ(value, 0.005F);
  }
  // Again and again it ends at the floor, and what began below it stays.
  parameters.values(*steps[0])[0] = 1e-9F;
  for (int64_t step = 1; step < 40; ++step) ASSERT_TRUE(large.Step(parameters, step, 50, 1, threads).ok());
  EXPECT_EQ(parameters.values(*steps[0])[0], 1e-9F);
  EXPECT_EQ(parameters.values(*steps[1])[0], kLeastStep);
}

}  // namespace
}  // namespace lodestone::testing
