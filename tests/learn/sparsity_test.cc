#include "learn/sparsity.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "test_models.h"

namespace lodestone::testing {
namespace {

// Two layers whose matrices have 64 and 128 columns.
ModelConfig Shape() {
  ModelConfig c = TinyGpt2();
  c.layers = 2;
  c.hidden = 64;
  c.ffn = 128;
  c.heads = c.kv_heads = 4;
  return c;
}

class SparsityTest : public ::testing::Test {
 protected:
  void Open(const ModelConfig& config) {
    Result<Parameters> made = Parameters::Make(config, *ParseRecipe("f32"));
    ASSERT_TRUE(made.ok()) << made.error().message;
    parameters_.emplace(*std::move(made));
    const Status loaded = parameters_->Load(*RandomWeights(config, 3));
    ASSERT_TRUE(loaded.ok()) << loaded.error().message;
  }

  SparsityMasks Make(SparsityPattern pattern, double level) {
    Result<SparsityMasks> masks = SparsityMasks::Make(*parameters_, {.pattern = pattern, .level = level});
    EXPECT_TRUE(masks.ok()) << masks.error().message;
    return masks.ok() ? *std::move(masks) : SparsityMasks{};
  }

  std::string Refused(const SparsitySettings& settings) {
    const Result<SparsityMasks> masks = SparsityMasks::Make(*parameters_, settings);
    return masks.ok() ? "" : masks.error().message;
  }

  // The values after the masks were applied to a copy.
  std::vector<float> Pruned(const SparsityMasks& masks) const {
    const std::span<const float> all = parameters_->all_values();
    std::vector<float> values(all.begin(), all.end());
    masks.Apply(*parameters_, values);
    return values;
  }

  std::span<const float> Of(const std::vector<float>& values, const Parameter& p) const {
    return std::span(values).subspan(static_cast<size_t>(p.offset), static_cast<size_t>(p.count()));
  }

  static bool IsLinear(const Parameter& p) { return p.columns > 1 && p.rows > 1 && p.id.layer >= 0; }

  std::optional<Parameters> parameters_;
};

int64_t Zeros(std::span<const float> w) { return std::count(w.begin(), w.end(), 0.0f); }

TEST_F(SparsityTest, UnstructuredDropsTheSmallestOfEveryMatrixToTheWeight) {
  Open(Shape());
  for (const double level : {0.0, 0.3, 0.5, 0.75, 0.9}) {
    const SparsityMasks masks = Make(SparsityPattern::kUnstructured, level);
    std::vector<float> kept(parameters_->all_values().size(), 1.0f);  // of a weight that is kept 1, otherwise 0
    masks.Apply(*parameters_, kept);
    int matrices = 0;
    for (const Parameter& p : parameters_->list()) {
      const std::span<const float> before = parameters_->values(p), after = Of(kept, p);
      if (!IsLinear(p)) {
        EXPECT_EQ(Zeros(after), 0) << ToString(p.id);
        continue;
      }
      ++matrices;
      EXPECT_EQ(Zeros(after), std::llround(level * static_cast<double>(p.count()))) << ToString(p.id);
      float largest_dropped = 0, smallest_kept = HUGE_VALF;
      for (size_t i = 0; i < before.size(); ++i) {
        (after[i] == 0 ? largest_dropped = std::max(largest_dropped, std::abs(before[i]))
                       : smallest_kept = std::min(smallest_kept, std::abs(before[i])));
      }
      EXPECT_LE(largest_dropped, smallest_kept) << ToString(p.id);
    }
    EXPECT_EQ(matrices, 2 * 6);
    EXPECT_NEAR(masks.level(), level, 1e-3);
  }
}

TEST_F(SparsityTest, TiesGoByPosition) {
  Open(Shape());
  for (const Parameter& p : parameters_->list()) {
    const std::span<float> w = parameters_->values(p);
    std::fill(w.begin(), w.end(), 1.0f);
  }
  const std::vector<float> values = Pruned(Make(SparsityPattern::kUnstructured, 0.25));
  const std::vector<float> runs = Pruned(Make(SparsityPattern::k2of4, 0.5));
  for (const Parameter& p : parameters_->list()) {
    if (!IsLinear(p)) continue;
    const std::span<const float> w = Of(values, p), r = Of(runs, p);
    for (int64_t i = 0; i < p.count(); ++i) {
      ASSERT_EQ(w[static_cast<size_t>(i)], i < p.count() / 4 ? 0.0f : 1.0f) << i;
      ASSERT_EQ(r[static_cast<size_t>(i)], i % 4 < 2 ? 0.0f : 1.0f) << i;
    }
  }
}

TEST_F(SparsityTest, TwoOfFourKeepsTheTwoLargestOfEveryRun) {
  Open(Shape());
  const SparsityMasks masks = Make(SparsityPattern::k2of4, 0.5);
  EXPECT_EQ(masks.level(), 0.5);
  const std::vector<float> values = Pruned(masks);
  for (const Parameter& p : parameters_->list()) {
    if (!IsLinear(p)) continue;
    const std::span<const float> before = parameters_->values(p), after = Of(values, p);
    for (size_t run = 0; run < before.size(); run += 4) {
      float largest_dropped = 0, smallest_kept = HUGE_VALF;
      int kept = 0;
      for (size_t i = run; i < run + 4; ++i) {
        kept += after[i] != 0;
        (after[i] == 0 ? largest_dropped = std::max(largest_dropped, std::abs(before[i]))
                       : smallest_kept = std::min(smallest_kept, std::abs(before[i])));
      }
      ASSERT_EQ(kept, 2);
      ASSERT_LE(largest_dropped, smallest_kept);
    }
  }
}

TEST_F(SparsityTest, TileBlocksGoByNormAndMasksSayWhich) {
  Open(Shape());
  // Blocks of the up projection [128][64] in ascending norm: 4 × 2 blocks of 32 × 32.
  const Parameter& up = *parameters_->Find({WeightKind::kUp, 1}, ParameterRole::kTensor);
  const std::span<float> w = parameters_->values(up);
  const int order[4][2] = {{5, 0}, {3, 7}, {1, 6}, {4, 2}};
  for (int row = 0; row < 128; ++row) {
    for (int column = 0; column < 64; ++column)
      w[row * 64 + column] = 1.0f + static_cast<float>(order[row / 32][column / 32]);
  }
  const SparsityMasks masks = Make(SparsityPattern::kTileBlocks, 0.75);
  const kernels::BlockMask* mask = masks.Blocks({WeightKind::kUp, 1});
  ASSERT_NE(mask, nullptr);
  EXPECT_EQ(mask->rows, 4);
  EXPECT_EQ(mask->columns, 2);
  for (int r = 0; r < 4; ++r) {
    for (int c = 0; c < 2; ++c) EXPECT_EQ(mask->Keeps(r, c), order[r][c] >= 6) << r << ", " << c;
  }
  const std::vector<float> values = Pruned(masks);
  const std::span<const float> after = Of(values, up);
  for (size_t i = 0; i < after.size(); ++i) ASSERT_EQ(after[i], w[i] >= 7 ? w[i] : 0) << i;
  EXPECT_EQ(masks.Blocks({WeightKind::kEmbedding, -1}), nullptr);
  EXPECT_EQ(Make(SparsityPattern::kUnstructured, 0.5).Blocks({WeightKind::kUp, 1}), nullptr);
}

TEST_F(SparsityTest, PartialBlocksCountTheirOwnWeights) {
  ModelConfig config = Shape();
  config.hidden = 80;
  config.head_dim = 20;
  config.ffn = 112;
  Open(config);
  const SparsityMasks masks = Make(SparsityPattern::kTileBlocks, 0.5);
  const std::vector<float> values = Pruned(masks);
  for (const Parameter& p : parameters_->list()) {
    if (!IsLinear(p)) continue;
    // Within half a block of the level.
    EXPECT_NEAR(static_cast<double>(Zeros(Of(values, p))), 0.5 * static_cast<double>(p.count()), 32 * 32 / 2)
        << ToString(p.id);
  }
}

TEST_F(SparsityTest, PrunedStaysPrunedHoweverOftenItIsApplied) {
  Open(Shape());
  for (const SparsityPattern pattern :
       {SparsityPattern::kUnstructured, SparsityPattern::k2of4, SparsityPattern::kTileBlocks}) {
    const SparsityMasks masks = Make(pattern, 0.5);
    std::vector<float> once = Pruned(masks), twice = once;
    masks.Apply(*parameters_, twice);
    EXPECT_EQ(once, twice);
    EXPECT_EQ(Pruned(Make(pattern, 0.5)), once);  // the same masks again
    std::vector<float> ones(once.size(), 1.0f);
    masks.Apply(*parameters_, ones);
    EXPECT_EQ(std::count(ones.begin(), ones.end(), 0.0f), masks.dropped());
  }
}

TEST_F(SparsityTest, WeightsThatAreNotNumbersAreKept) {
  Open(Shape());
  const Parameter& up = *parameters_->Find({WeightKind::kUp, 0}, ParameterRole::kTensor);
  parameters_->values(up)[5] = NAN;
  parameters_->values(up)[9] = -INFINITY;
  for (const SparsityPattern pattern :
       {SparsityPattern::kUnstructured, SparsityPattern::k2of4, SparsityPattern::kTileBlocks}) {
    const std::vector<float> values = Pruned(Make(pattern, 0.5));
    EXPECT_TRUE(std::isnan(Of(values, up)[5]));
    EXPECT_TRUE(std::isinf(Of(values, up)[9]));
  }
}

TEST_F(SparsityTest, RefusesWhatItCannotDo) {
  Open(Shape());
  using enum SparsityPattern;
  EXPECT_NE(Refused({.pattern = kUnstructured, .level = 1}).find("found level 1"), std::string::npos);
  EXPECT_NE(Refused({.pattern = kUnstructured, .level = NAN}).find("found level"), std::string::npos);
  EXPECT_NE(Refused({.pattern = k2of4, .level = 0.75}).find("0.5 by construction"), std::string::npos);
  EXPECT_NE(Refused({.pattern = kTileBlocks, .level = 0.5, .block_rows = 24}).find("multiples of 16"),
            std::string::npos);
  ModelConfig odd = Shape();
  odd.ffn = 126;
  Open(odd);
  EXPECT_NE(Refused({.pattern = k2of4, .level = 0.5}).find("rows of 126 weights"), std::string::npos);
  EXPECT_EQ(*ParseSparsityPattern("2:4"), k2of4);
  EXPECT_NE(ParseSparsityPattern("blocks").error().message.find("tiles"), std::string::npos);
}

}  // namespace
}  // namespace lodestone::testing
