#include "lab/quality.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "lab/statistics.h"
#include "test_models.h"

namespace lodestone::testing {
namespace {

Model TinyModel(uint64_t seed) {
  Model model;
  model.config = TinyLlama();
  model.config.vocab = 512;
  model.name = model.config.name;
  model.weights = RandomWeights(model.config, seed);
  return model;
}

std::vector<int32_t> Tokens(int count) {
  std::vector<int32_t> tokens(static_cast<size_t>(count));
  for (int i = 0; i < count; ++i) tokens[static_cast<size_t>(i)] = (i * 37 + 11) % 500;
  return tokens;
}

std::unique_ptr<PassRunner> Runner(Model& model, const char* recipe, int threads = 1) {
  auto runner = PassRunner::Open(model, *ParseRecipe(recipe),
                                 {.positions = 128, .rows_per_pass = kTeacherForcingRows, .threads = threads});
  EXPECT_TRUE(runner.ok()) << runner.error().message;
  return *std::move(runner);
}

void Ignore(int64_t) {}

TEST(Quality, WindowsBeginWithBosAndKeepEveryToken) {
  const ModelConfig config = TinyModel(1).config;
  const auto text = CutWindows(config, Tokens(200), 100);
  ASSERT_TRUE(text.ok());
  ASSERT_EQ(text->windows.size(), 3u);
  std::vector<int32_t> joined;
  for (const auto& window : text->windows) {
    EXPECT_EQ(window[0], *config.bos_id);
    EXPECT_LE(window.size(), 100u);
    joined.insert(joined.end(), window.begin() + 1, window.end());
  }
  EXPECT_EQ(joined, Tokens(200));
  EXPECT_EQ(text->predicted(), 200);
}

TEST(Quality, WindowsWithoutBosPredictAllButTheFirst) {
  ModelConfig config = TinyModel(1).config;
  config.bos_id.reset();
  const auto text = CutWindows(config, Tokens(101), 50);
  ASSERT_TRUE(text.ok());
  EXPECT_EQ(text->windows.size(), 2u);  // the last token alone predicts nothing
  EXPECT_EQ(text->predicted(), 98);
}

TEST(Quality, RefusesTextsThatCannotBePredicted) {
  ModelConfig config = TinyModel(1).config;
  EXPECT_FALSE(CutWindows(config, Tokens(10), 1).ok());
  EXPECT_FALSE(CutWindows(config, Tokens(10), config.max_positions + 1).ok());
  EXPECT_FALSE(CutWindows(config, std::vector<int32_t>{512}, 10).ok());
  EXPECT_FALSE(CutWindows(config, std::vector<int32_t>{}, 10).ok());
}

// Against the definition, one position at a time.
TEST(Quality, NegativeLogLikelihoodIsThatOfTheLogits) {
  Model model = TinyModel(1);
  const auto text = *CutWindows(model.config, Tokens(90), 100);
  const auto runner = Runner(model, "f32");
  const auto nll = NegativeLogLikelihoods(*runner, text, Ignore);
  ASSERT_TRUE(nll.ok()) << nll.error().message;
  ASSERT_EQ(nll->size(), 90u);
  const std::vector<int32_t>& window = text.windows[0];
  for (int32_t i = 0; i < 90; ++i) {
    const Row row{.position = i, .token = window[static_cast<size_t>(i)], .wants_logits = true};
    const auto logits = runner->Run(std::span(&row, 1));
    ASSERT_TRUE(logits.ok());
    double sum = 0;
    for (const float logit : logits->data) sum += std::exp(static_cast<double>(logit));
    const double expected =
        std::log(sum) - static_cast<double>(logits->data[static_cast<size_t>(window[static_cast<size_t>(i) + 1])]);
    EXPECT_NEAR((*nll)[static_cast<size_t>(i)], expected, 1e-12 * 512);
  }
}

TEST(Quality, DoesNotDependOnThreads) {
  Model one = TinyModel(3), two = TinyModel(3);
  const auto text = *CutWindows(one.config, Tokens(100), 64);
  const auto a = NegativeLogLikelihoods(*Runner(one, "w4a8", 1), text, Ignore);
  const auto b = NegativeLogLikelihoods(*Runner(two, "w4a8", 3), text, Ignore);
  ASSERT_TRUE(a.ok() && b.ok());
  EXPECT_EQ(*a, *b);
}

TEST(Quality, AModelDoesNotDivergeFromItself) {
  Model a = TinyModel(5), b = TinyModel(5);
  const auto text = *CutWindows(a.config, Tokens(100), 128);
  const auto comparison = CompareLogits(*Runner(a, "w8a8"), *Runner(b, "w8a8"), text, Ignore);
  ASSERT_TRUE(comparison.ok());
  EXPECT_EQ(comparison->same_top, 100);
  EXPECT_EQ(comparison->largest_difference, 0);
  for (const double kl : comparison->kl) EXPECT_NEAR(kl, 0, 1e-12);
}

TEST(Quality, FewerBitsDivergeMore) {
  Model f32 = TinyModel(5), w8 = TinyModel(5), w4 = TinyModel(5);
  const auto text = *CutWindows(f32.config, Tokens(100), 128);
  const auto reference = Runner(f32, "f32");
  const auto eight = CompareLogits(*reference, *Runner(w8, "w8a8"), text, Ignore);
  const auto four = CompareLogits(*reference, *Runner(w4, "w4a4"), text, Ignore);
  ASSERT_TRUE(eight.ok() && four.ok());
  for (const double kl : four->kl) EXPECT_GE(kl, -1e-12);  // Gibbs' inequality
  EXPECT_LT(StatisticsOf(eight->kl).mean, StatisticsOf(four->kl).mean);
  EXPECT_GT(StatisticsOf(eight->kl).mean, 0);
}

}  // namespace
}  // namespace lodestone::testing
