#include "learn/distillation.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "kernels/dispatch.h"
#include "learn/noise.h"
#include "learn/training_model.h"

namespace lodestone::testing {
namespace {

const kernels::TrainingTable& Table() { return kernels::TrainingTableFor(**kernels::SelectFromEnvironment()); }

std::vector<double> LogSoftmax(const std::vector<double>& logits, double temperature) {
  double sum = 0;
  for (const double logit : logits) sum += std::exp(logit / temperature);
  std::vector<double> out;
  for (const double logit : logits) out.push_back(logit / temperature - std::log(sum));
  return out;
}

double LossOf(const std::vector<double>& logits, const std::vector<double>& teacher, int target, double weight,
              double temperature) {
  const std::vector<double> q = LogSoftmax(logits, temperature), p = LogSoftmax(teacher, temperature);
  double divergence = 0;
  for (size_t i = 0; i < p.size(); ++i) divergence += std::exp(p[i]) * (p[i] - q[i]);
  return -(1 - weight) * LogSoftmax(logits, 1)[target] + weight * temperature * temperature * divergence;
}

TEST(DistilledCrossEntropy, IsTheFormulaAndItsGradient) {
  constexpr int kN = 37, kTarget = 5;
  std::vector<float> noise = Noise(2 * kN, 3);
  for (float& value : noise) value *= 3;
  const std::vector<double> student(noise.begin(), noise.begin() + kN), teacher(noise.begin() + kN, noise.end());
  for (const double weight : {0.0, 0.3, 1.0}) {
    for (const double temperature : {1.0, 2.5, 0.5}) {
      std::vector<float> logits(noise.begin(), noise.begin() + kN), taught(noise.begin() + kN, noise.end());
      std::vector<float> scratch(2 * kN);
      constexpr float kScale = 0.25F;
      const double loss = DistilledCrossEntropy(Table(), static_cast<float>(weight), static_cast<float>(temperature),
                                                logits.data(), taught.data(), kN, kTarget, kScale, scratch.data());
      const double expected = LossOf(student, teacher, kTarget, weight, temperature);
      EXPECT_NEAR(loss, expected, 1e-5 * (1 + expected));
      for (int i = 0; i < kN; ++i) {
        constexpr double kH = 1e-5;
        std::vector<double> above = student, below = student;
        above[i] += kH;
        below[i] -= kH;
        const double slope = (LossOf(above, teacher, kTarget, weight, temperature) -
                              LossOf(below, teacher, kTarget, weight, temperature)) /
                             (2 * kH);
        EXPECT_NEAR(logits[i], kScale * slope, 1e-6) << i;
      }
    }
  }
}

TEST(DistilledCrossEntropy, OfTheTeacherItselfIsNothing) {
  std::vector<float> logits = Noise(100, 1), teacher = logits, scratch(200);
  EXPECT_NEAR(DistilledCrossEntropy(Table(), 1, 3, logits.data(), teacher.data(), 100, 7, 1, scratch.data()), 0, 1e-6);
  for (const float gradient : logits) EXPECT_EQ(gradient, 0);
}

TEST(DistillFrom, ReplacesTheTargetsByTheTeacher) {
  const ModelConfig config = TinyGranite();
  TrainingModel student(config, "f32"), teacher(config, "f32");
  const RandomBatch random(2, 9, config.vocab);
  ASSERT_TRUE(student.differentiator->DistillFrom(*teacher.differentiator, 1, 1).ok());
  const double plain = student.differentiator->Evaluate(random.All())->nats;
  const auto own = student.differentiator->Accumulate(random.All(), 1, {});
  ASSERT_TRUE(own.ok());
  EXPECT_NEAR(own->nats, 0, 1e-5);  // its own twin is the teacher
  EXPECT_GT(plain, 1);              // Evaluate counts the targets
  for (const float gradient : student.parameters.all_gradients()) EXPECT_NEAR(gradient, 0, 1e-5);
}

TEST(DistillFrom, RefusesWhatCannotTeach) {
  ModelConfig larger = TinyLlama();
  larger.vocab += 1;
  TrainingModel student(TinyLlama(), "f32"), teacher(TinyLlama(), "f32"), stranger(larger, "f32");
  const auto message = [&](Differentiator& from, float weight, float temperature) {
    const Status status = student.differentiator->DistillFrom(from, weight, temperature);
    return status.ok() ? "accepted" : status.error().message;
  };
  EXPECT_NE(message(*stranger.differentiator, 0.5F, 1).find("51"), std::string::npos);
  EXPECT_NE(message(*student.differentiator, 0.5F, 1).find("own teacher"), std::string::npos);
  EXPECT_NE(message(*teacher.differentiator, 1.5F, 1).find("1.5"), std::string::npos);
  EXPECT_NE(message(*teacher.differentiator, std::nanf(""), 1).find("weight"), std::string::npos);
  EXPECT_NE(message(*teacher.differentiator, 0.5F, 0).find("temperature"), std::string::npos);
  EXPECT_EQ(message(*teacher.differentiator, 0.5F, 4), "accepted");
}

}  // namespace
}  // namespace lodestone::testing
