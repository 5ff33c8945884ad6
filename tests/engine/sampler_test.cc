#include "engine/sampler.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <set>

namespace lodestone {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInf = std::numeric_limits<float>::infinity();

Result<int32_t> Sample(std::span<const float> logits, const Sampling& sampling, std::span<const int32_t> seen,
                       uint64_t request, int64_t position) {
  return Sampler().Sample(logits, sampling, {.tokens = seen, .prompt_tokens = 0}, request, position);
}

// Every token that 4,000 positions draw.
std::set<int32_t> Drawn(const std::vector<float>& logits, const Sampling& sampling) {
  std::set<int32_t> ids;
  for (int64_t position = 0; position < 4000; ++position) ids.insert(*Sample(logits, sampling, {}, 1, position));
  return ids;
}

int32_t Greedy(const std::vector<float>& logits, const std::vector<int32_t>& seen = {}, double penalty = 1) {
  Sampling sampling;
  sampling.repetition_penalty = penalty;
  return *Sample(logits, sampling, seen, 0, 0);
}

// Logits of these probabilities.
std::vector<float> LogitsOf(const std::vector<double>& probabilities) {
  std::vector<float> logits;
  for (double p : probabilities) logits.push_back(static_cast<float>(std::log(p)));
  return logits;
}

TEST(Sampler, GreedyTakesTheLowestIdAmongEquals) {
  EXPECT_EQ(Greedy({1, 3, 2, 3}), 1);
  EXPECT_EQ(Greedy({-1, -3, -1}), 0);
  EXPECT_EQ(Greedy({7}), 0);
}

TEST(Sampler, NotANumberIsNeverDrawn) {
  EXPECT_EQ(Greedy({kNan, -5, kNan, -4}), 3);
  EXPECT_EQ(Greedy({-kInf, -5, kNan}), 1);
  EXPECT_EQ(Greedy({1, kInf, 2}), 1);
  Sampling warm;
  warm.temperature = 1;
  EXPECT_EQ(Drawn({kNan, 0, -kInf, 0}, warm), (std::set<int32_t>{1, 3}));
  EXPECT_EQ(Drawn({1, kInf, 2}, warm), (std::set<int32_t>{1}));
}

TEST(Sampler, RefusesLogitsWithoutAFiniteValue) {
  for (const std::vector<float>& logits : {std::vector<float>{}, {kNan, kNan}, {-kInf}, {kInf, kNan}}) {
    const auto refused = Sample(logits, {}, {}, 0, 12);
    ASSERT_FALSE(refused.ok());
    EXPECT_NE(refused.error().message.find("at position 12 is a finite number"), std::string::npos);
  }
}

TEST(Sampler, RepetitionPenaltyActsOncePerSeenTokenByItsSign) {
  // 4 / 2 = 2 < 3; seen twice is no different: 4 / 2 / 2 = 1 would lose to 1.5.
  EXPECT_EQ(Greedy({4, 3}, {0}, 2), 1);
  EXPECT_EQ(Greedy({4, 1.5f}, {0, 0}, 2), 0);
  // −1 × 2 = −2 < −1.5; zero stays.
  EXPECT_EQ(Greedy({-1, -1.5f}, {0}, 2), 1);
  EXPECT_EQ(Greedy({0, -0.5f}, {0}, 2), 0);
  // Ids that the logits do not have are no matter.
  EXPECT_EQ(Greedy({4, 3}, {-1, 2, 99}, 2), 0);
}

TEST(Sampler, FrequencyAndPresenceCountTheOutputAlone) {
  const std::vector<float> logits{4, 3.5f, 3, 0};
  const auto greedy = [&](double frequency, double presence, std::vector<int32_t> tokens, size_t prompt_tokens) {
    const Sampling sampling{.frequency_penalty = frequency, .presence_penalty = presence};
    return *Sampler().Sample(logits, sampling, {.tokens = tokens, .prompt_tokens = prompt_tokens}, 0, 0);
  };
  EXPECT_EQ(greedy(1, 0, {0, 0, 0}, 3), 0);
  EXPECT_EQ(greedy(1, 0, {0, 0, 0}, 2), 1);     // 4 − 1 < 3.5
  EXPECT_EQ(greedy(0.4, 0, {0, 0}, 1), 0);      // 4 − 0.4 > 3.5
  EXPECT_EQ(greedy(0.4, 0, {0, 0}, 0), 1);      // 4 − 0.8
  EXPECT_EQ(greedy(0, 0.4, {0, 0, 0}, 0), 0);   // once
  EXPECT_EQ(greedy(0, 0.6, {0, 1, 0}, 0), 0);   // 3.4, 2.9, 3
  EXPECT_EQ(greedy(-2, 0, {2, 99, -1}, 0), 2);  // 3 + 2; ids that the logits do not have are no matter
}

TEST(Sampler, BiasComesFirstAndNothingIsKeptBetweenCalls) {
  Sampler sampler;
  const std::vector<float> logits{4, 3, -1};
  const std::vector<int32_t> seen{2};
  Sampling sampling{.logit_bias = {{2, 6}, {1, 0.5}, {77, 100}}};
  EXPECT_EQ(*sampler.Sample(logits, sampling, {seen, 0}, 0, 0), 2);  // 5
  sampling.repetition_penalty = 2;
  EXPECT_EQ(*sampler.Sample(logits, sampling, {seen, 0}, 0, 0), 0);  // (−1 + 6) / 2
  sampling.logit_bias = {{0, -1000}};
  EXPECT_EQ(*sampler.Sample(logits, sampling, {{}, 0}, 0, 0), 1);
  EXPECT_EQ(*sampler.Sample(logits, {}, {{}, 0}, 0, 0), 0);
}

// The walk from the most likely token on goes through bands: their borders must neither lose nor repeat a token.
TEST(Sampler, ManyTokensInOrderOfLikelihood) {
  std::vector<float> logits(5000);
  for (size_t i = 0; i < logits.size(); ++i) logits[i] = -0.01f * static_cast<float>((i * 2971) % 5000);
  Sampler sampler;
  for (int top_k : {1, 299, 300, 301, 1200, 4999, 5000}) {
    const Sampling sampling{.temperature = 1, .top_k = top_k};
    for (int64_t position = 0; position < 50; ++position) {
      const size_t id = static_cast<size_t>(*sampler.Sample(logits, sampling, {}, 1, position));
      EXPECT_LT((id * 2971) % 5000, static_cast<size_t>(top_k));
    }
  }
  // Without a cut, the draw is the inverse of the cumulative distribution.
  double total = 0;
  for (int rank = 0; rank < 5000; ++rank) total += std::exp(-0.01 * rank);
  for (int64_t position = 0; position < 200; ++position) {
    const double target = KeyedUniform(0, 1, position) * total;
    double sum = 0;
    size_t rank = 0;
    for (; rank < 5000 && (sum += std::exp(-0.01 * static_cast<double>(rank))) <= target;) ++rank;
    const size_t id = static_cast<size_t>(*sampler.Sample(logits, {.temperature = 1}, {}, 1, position));
    const int64_t got = static_cast<int64_t>((id * 2971) % 5000);
    EXPECT_LE(std::abs(got - static_cast<int64_t>(rank)), 1) << position;  // floats may move a border
  }
}

TEST(Sampler, TopKKeepsTheLowerIdAmongEquals) {
  Sampling sampling;
  sampling.temperature = 1;
  sampling.top_k = 2;
  EXPECT_EQ(Drawn({1, 2, 1, 1}, sampling), (std::set<int32_t>{0, 1}));
  sampling.top_k = 9;
  EXPECT_EQ(Drawn({1, 2, 1, 1}, sampling), (std::set<int32_t>{0, 1, 2, 3}));
  sampling.top_k = 1;
  EXPECT_EQ(Drawn({1, 2, 1, 1}, sampling), (std::set<int32_t>{1}));
}

TEST(Sampler, TopPKeepsTheSmallestSetThatReachesIt) {
  const auto logits = LogitsOf({0.1, 0.4, 0.2, 0.3});
  Sampling sampling;
  sampling.temperature = 1;
  sampling.top_p = 0.39;
  EXPECT_EQ(Drawn(logits, sampling), (std::set<int32_t>{1}));
  sampling.top_p = 0.41;
  EXPECT_EQ(Drawn(logits, sampling), (std::set<int32_t>{1, 3}));
  sampling.top_p = 0.89;
  EXPECT_EQ(Drawn(logits, sampling), (std::set<int32_t>{1, 2, 3}));
  sampling.top_p = 0.91;
  EXPECT_EQ(Drawn(logits, sampling), (std::set<int32_t>{0, 1, 2, 3}));
  // After top-k 2, of 0.4 / 0.7 and 0.3 / 0.7, the first alone has 0.571.
  sampling.top_k = 2;
  sampling.top_p = 0.56;
  EXPECT_EQ(Drawn(logits, sampling), (std::set<int32_t>{1}));
  sampling.top_p = 0.58;
  EXPECT_EQ(Drawn(logits, sampling), (std::set<int32_t>{1, 3}));
}

TEST(Sampler, MinPComparesWithTheMostLikely) {
  const auto logits = LogitsOf({0.1, 0.4, 0.2, 0.3});
  Sampling sampling;
  sampling.temperature = 1;
  sampling.min_p = 0.74;  // 0.3 / 0.4 = 0.75
  EXPECT_EQ(Drawn(logits, sampling), (std::set<int32_t>{1, 3}));
  sampling.min_p = 0.76;
  EXPECT_EQ(Drawn(logits, sampling), (std::set<int32_t>{1}));
  // The temperature comes first: √0.75 = 0.866.
  sampling.temperature = 2;
  EXPECT_EQ(Drawn(logits, sampling), (std::set<int32_t>{1, 3}));
  sampling.min_p = 1;
  EXPECT_EQ(Drawn(logits, sampling), (std::set<int32_t>{1}));
}

TEST(Sampler, ATinyTemperatureIsGreedy) {
  Sampling sampling;
  sampling.temperature = 1e-300;
  EXPECT_EQ(Drawn({1, 1.001f, -3e38f, 0}, sampling), (std::set<int32_t>{1}));
}

TEST(Sampler, TheDrawDependsOnTheKeyAlone) {
  const std::vector<float> logits(100, 0.0f);
  Sampling sampling;
  sampling.temperature = 1;
  sampling.seed = 5;
  const int32_t id = *Sample(logits, sampling, {}, 3, 7);
  EXPECT_EQ(*Sample(logits, sampling, {}, 3, 7), id);
  // The draw walks from the most likely on, the lower id first: of 100 equals, it is the key's hundredth.
  EXPECT_EQ(id, static_cast<int32_t>(KeyedUniform(5, 3, 7) * 100));
}

TEST(Sampler, ValidateNamesWhatIsOutOfRange) {
  const auto message = [](auto change) {
    Sampling sampling;
    change(sampling);
    const Status status = sampling.Validate();
    return status.ok() ? std::string() : status.error().message;
  };
  EXPECT_EQ(message([](Sampling&) {}), "");
  EXPECT_EQ(message([](Sampling& s) { s.temperature = -1; }), "temperature is -1, expected at least 0 and at most 100");
  EXPECT_EQ(message([](Sampling& s) { s.top_k = -2; }), "top-k is -2, expected 0 (all tokens) or more");
  EXPECT_EQ(message([](Sampling& s) { s.top_p = 0; }), "top-p is 0, expected more than 0 and at most 1");
  EXPECT_NE(message([](Sampling& s) { s.top_p = 1.5; }), "");
  EXPECT_NE(message([](Sampling& s) { s.min_p = kNan; }), "");
  EXPECT_NE(message([](Sampling& s) { s.temperature = kInf; }), "");
  EXPECT_EQ(message([](Sampling& s) {
              s.logit_bias = {{-1, 0}};
            }),
            "the logit bias names token -1, expected 0 or more");
  EXPECT_NE(message([](Sampling& s) { s.logit_bias = {{1, kNan}}; }), "");
  EXPECT_NE(message([](Sampling& s) { s.frequency_penalty = 101; }), "");
  EXPECT_NE(message([](Sampling& s) { s.presence_penalty = -101; }), "");
  EXPECT_EQ(message([](Sampling& s) { s.repetition_penalty = 0; }),
            "repetition penalty is 0, expected at least 0.01 and at most 100");
}

}  // namespace
}  // namespace lodestone
