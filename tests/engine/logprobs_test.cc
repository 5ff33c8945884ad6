#include "engine/logprobs.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace lodestone {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInf = std::numeric_limits<float>::infinity();

TEST(Logprobs, AreLogarithmsOfTheSoftmax) {
  const std::vector<float> logits{1, 3, 2, 3};
  const double norm = std::log(std::exp(1) + 2 * std::exp(3) + std::exp(2));
  const Logprobs got = LogprobsOf(logits, 2, 3);
  EXPECT_NEAR(got.chosen, 2 - norm, 1e-12);
  ASSERT_EQ(got.top.size(), 3u);
  // The lower id first among equals.
  EXPECT_EQ(got.top[0].id, 1);
  EXPECT_EQ(got.top[1].id, 3);
  EXPECT_EQ(got.top[2].id, 2);
  EXPECT_NEAR(got.top[0].logprob, 3 - norm, 1e-12);
  EXPECT_EQ(got.top[1].logprob, got.top[0].logprob);
  EXPECT_EQ(got.top[2].logprob, got.chosen);
}

TEST(Logprobs, NoneOrMoreThanThereAre) {
  const std::vector<float> logits{0, 0};
  EXPECT_TRUE(LogprobsOf(logits, 0, 0).top.empty());
  EXPECT_NEAR(LogprobsOf(logits, 0, 0).chosen, -std::log(2), 1e-12);
  EXPECT_EQ(LogprobsOf(logits, 0, 9).top.size(), 2u);
}

TEST(Logprobs, WhatIsNotANumberHasProbabilityZero) {
  const Logprobs got = LogprobsOf(std::vector<float>{kNan, 0, -kInf, 0}, 1, 4);
  EXPECT_NEAR(got.chosen, -std::log(2), 1e-12);
  EXPECT_EQ(got.top[0].id, 1);
  EXPECT_EQ(got.top[2].logprob, -static_cast<double>(kInf));
  EXPECT_EQ(LogprobsOf(std::vector<float>{1, kInf}, 1, 0).chosen, 0);
}

}  // namespace
}  // namespace lodestone
