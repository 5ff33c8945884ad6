// Attention over whole sequences and its backward, against doubles within computed bounds and against the reference bit
// for bit: on every instruction set that runs here, and on tiles of AMX in plain C++.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "cases.h"
#include "exact_attention.h"
#include "kernels/gemm/gemm_table.h"
#include "kernels/training_table.h"

namespace lodestone::kernels {
namespace {

namespace emulated {

#include "kernels/reference/lanes.inc"
//
#include "kernels/rows/vectors.inc"
//
#include "kernels/rows/exp.inc"
//
#include "kernels/reference/transpose.inc"
//
#include "kernels/emulated_tiles.inc"
//
#include "kernels/emulated_bf16_tiles.inc"
//
#include "kernels/gemm/finish.inc"
//
#include "kernels/amx/gemm.inc"
//
#include "kernels/training/attention.inc"
//

constexpr const GemmKernels& kPanelKernels = kTileKernels;

#include "kernels/training/panel_blocks.inc"
//
#include "kernels/training/attention_forward.inc"
//
#include "kernels/training/attention_backward.inc"

}  // namespace emulated

const TrainingTable& EmulatedTraining() {
  static const TrainingTable table = [] {
    TrainingTable t = TrainingTableFor(Reference());
    t.isa = "emulated";
    t.attention_scratch = emulated::ScratchOf<emulated::PanelBlocks>;
    t.attention_forward = emulated::RunForward<emulated::PanelBlocks>;
    t.attention_backward = emulated::RunBackward<emulated::PanelBlocks>;
    return t;
  }();
  return table;
}

const float kInfinity = std::numeric_limits<float>::infinity();

struct Results {
  Rows out, q_gradient, k_gradient, v_gradient;
  std::vector<float> lse;
  double p_step_gradient = 0;
  explicit Results(const Shape& s)
      : out(s.length, s.group * s.head_dim, 3),
        q_gradient(out),
        k_gradient(s.length, s.head_dim, 5),
        v_gradient(k_gradient),
        lse(static_cast<size_t>(s.group * s.length), kUntouched) {}
};

SequenceAttention Arguments(const Shape& s, const Operands& o, Results& r) {
  SequenceAttention a;
  a.length = s.length;
  a.group = s.group;
  a.head_dim = s.head_dim;
  a.window = s.window;
  a.scale = s.scale;
  a.bf16 = s.bf16;
  a.q = o.q.data();
  a.k = o.k.data();
  a.v = o.v.data();
  a.q_stride = o.q.stride;
  a.kv_stride = o.k.stride;
  a.out = r.out.data();
  a.lse = r.lse.data();
  return a;
}

// Forward, then backward with the probabilities quantised where the shape says so.
Results Attend(const TrainingTable& table, const Shape& s, const Operands& o) {
  Results r(s);
  SequenceAttention a = Arguments(s, o, r);
  const size_t size = table.attention_scratch(a);
  std::vector<float> scratch(size + 16, kUntouched);
  table.attention_forward(a, scratch.data());
  a.p_step = s.p_step;
  a.p_max = s.p_max;
  SequenceAttentionGradients g;
  g.out_gradient = o.out_gradient.data();
  g.q_gradient = r.q_gradient.data();
  g.k_gradient = r.k_gradient.data();
  g.v_gradient = r.v_gradient.data();
  g.p_step_gradient = &r.p_step_gradient;
  table.attention_backward(a, g, scratch.data());
  for (size_t i = size; i < scratch.size(); ++i) EXPECT_EQ(scratch[i], kUntouched) << "scratch, " << s.Name();
  return r;
}

void Compare(const char* what, const Shape& s, const Rows& actual, const Doubles& expected, const Doubles& bound) {
  ASSERT_TRUE(actual.GapsUntouched()) << what << ", " << s.Name();
  WorstError worst;
  for (size_t i = 0; i < expected.size(); ++i) {
    const int row = static_cast<int>(i) / actual.columns, column = static_cast<int>(i) % actual.columns;
    // Weights below the smallest normal f32 are 0.
    worst.Check(i, actual.at(row, column), expected[i], bound[i] + 1e-34);
  }
  ASSERT_TRUE(worst.ok()) << what << ", " << s.Name() << ": " << worst.line();
}

void CompareAll(const Shape& s, const Results& r, const Exact& exact) {
  Compare("out", s, r.out, exact.out, exact.out_bound);
  Rows lse(1, s.length * s.group, 0);
  lse.values = r.lse;
  Compare("lse", s, lse, exact.lse, exact.lse_bound);
  Compare("q gradient", s, r.q_gradient, exact.q_gradient, exact.q_bound);
  Compare("k gradient", s, r.k_gradient, exact.k_gradient, exact.k_bound);
  Compare("v gradient", s, r.v_gradient, exact.v_gradient, exact.v_bound);
  ASSERT_NEAR(r.p_step_gradient, exact.p_step_gradient, exact.p_step_bound) << s.Name();
}

std::vector<Shape> Shapes() {
  std::vector<Shape> shapes;
  for (const int length : {1, 2, 16, 17, 63, 64, 65, 129}) shapes.push_back({.length = length, .head_dim = 16});
  for (const int head_dim : {1, 17, 40, 64, 80}) shapes.push_back({.length = 70, .group = 2, .head_dim = head_dim});
  for (const int window : {1, 5, 64, 65, 100, 1000}) {
    shapes.push_back({.length = 150, .head_dim = 8, .window = window});
  }
  shapes.push_back({.length = 100, .group = 3, .head_dim = 24, .window = 30});
  return shapes;
}

// The dispatcher's candidates, and emulated tiles after the last.
class SequenceAttentionProperty : public ::testing::TestWithParam<size_t> {
 protected:
  void SetUp() override {
    if (emulated()) return;
    const Candidate& candidate = Candidates()[GetParam()];
    if (!candidate.declined.empty()) GTEST_SKIP() << candidate.table->isa << ": " << candidate.declined;
  }
  bool emulated() const { return GetParam() == Candidates().size(); }
  const TrainingTable& training() const {
    return emulated() ? EmulatedTraining() : TrainingTableFor(*Candidates()[GetParam()].table);
  }
  // Tiles, which multiply bf16 alone, add in an order of their own.
  bool HasTheBitsOfTheReference(const Shape& s) const {
    return !emulated() && !(s.bf16 && std::strcmp(training().isa, "amx") == 0);
  }

  void Check(Shape s, uint32_t seed) {
    s.bf16 |= emulated();
    Random random(seed);
    const Operands o(s, random);
    const Results r = Attend(training(), s, o);
    CompareAll(s, r, Exact(s, o));
    if (!HasTheBitsOfTheReference(s)) return;
    const TrainingTable& plain = TrainingTableFor(Reference());
    if (&training() == &plain) return;
    const Results reference = Attend(plain, s, o);
    ASSERT_TRUE(SameBits(r.out.values, reference.out.values)) << s.Name();
    ASSERT_TRUE(SameBits(r.lse, reference.lse)) << s.Name();
    ASSERT_TRUE(SameBits(r.q_gradient.values, reference.q_gradient.values)) << s.Name();
    ASSERT_TRUE(SameBits(r.k_gradient.values, reference.k_gradient.values)) << s.Name();
    ASSERT_TRUE(SameBits(r.v_gradient.values, reference.v_gradient.values)) << s.Name();
    ASSERT_EQ(r.p_step_gradient, reference.p_step_gradient) << s.Name();
  }
};
std::string NameOf(const ::testing::TestParamInfo<size_t>& info) {
  return info.param == Candidates().size() ? "emulated_tiles" : IsaName(info);
}
INSTANTIATE_TEST_SUITE_P(Isa, SequenceAttentionProperty, ::testing::Range(size_t{0}, Candidates().size() + 1), NameOf);

TEST_P(SequenceAttentionProperty, EqualsTheReferenceAndADoubleWithinRounding) {
  uint32_t seed = 1;
  for (const Shape& s : Shapes()) Check(s, seed++);
}

TEST_P(SequenceAttentionProperty, RoundsToBf16BeforeEveryProduct) {
  if (emulated()) GTEST_SKIP() << "tiles always do";
  uint32_t seed = 100;
  for (Shape s : Shapes()) {
    s.bf16 = true;
    if (s.length > 64) Check(s, seed++);
  }
}

TEST_P(SequenceAttentionProperty, QuantisedProbabilitiesHaveTheGradientsOfLsq) {
  uint32_t seed = 200;
  for (Shape s : Shapes()) {
    // Some probabilities are clamped, some are codes in between, most are small.
    s.p_max = seed % 2 == 0 ? 15 : 255;
    s.p_step = 0.3f / s.p_max;
    Check(s, seed++);
  }
}

TEST_P(SequenceAttentionProperty, LargeScoresNeitherOverflowNorLoseTheSum) {
  Shape s{.length = 130, .group = 1, .head_dim = 32};
  s.scale = 20;
  Check(s, 300);
}

// A row's bits depend on what it sees alone, wherever its block ends.
TEST_P(SequenceAttentionProperty, ALongerSequenceBeginsWithTheSameBits) {
  for (const bool bf16 : {false, true}) {
    Random random(400);
    const Shape s{.length = 140, .group = 2, .head_dim = 20, .bf16 = bf16};
    const Operands o(s, random);
    const Results whole = Attend(training(), s, o);
    for (const int length : {1, 17, 64, 100, 128}) {
      Shape part = s;
      part.length = length;
      const Results r = Attend(training(), part, o);
      for (int i = 0; i < length; ++i) {
        for (int c = 0; c < r.out.columns; ++c) ASSERT_EQ(r.out.at(i, c), whole.out.at(i, c)) << length;
      }
    }
  }
}

TEST_P(SequenceAttentionProperty, GivesTheLogSumAloneWhereNoResultIsWanted) {
  Random random(500);
  const Shape s{.length = 90, .group = 2, .head_dim = 24, .bf16 = true};
  const Operands o(s, random);
  const Results whole = Attend(training(), s, o);
  Results r(s);
  SequenceAttention a = Arguments(s, o, r);
  a.out = nullptr;
  std::vector<float> scratch(training().attention_scratch(a));
  training().attention_forward(a, scratch.data());
  EXPECT_TRUE(SameBits(r.lse, whole.lse));
}

TEST_P(SequenceAttentionProperty, WhatIsNotFiniteShows) {
  const Shape s{.length = 100, .group = 1, .head_dim = 20, .bf16 = true};
  for (const float bad : {std::nanf(""), kInfinity, -kInfinity}) {
    Random random(600);
    Operands o(s, random);
    o.q.at(70, 3) = bad;
    Results r = Attend(training(), s, o);
    EXPECT_TRUE(std::isnan(r.out.at(70, 0)));
    EXPECT_TRUE(std::isnan(r.q_gradient.at(70, 0)));
    EXPECT_TRUE(std::isnan(r.k_gradient.at(5, 0)));
    EXPECT_TRUE(std::isfinite(r.out.at(69, 0)) && std::isfinite(r.out.at(71, 0)));
    o = Operands(s, random);
    o.v.at(70, 3) = bad;
    r = Attend(training(), s, o);
    EXPECT_FALSE(std::isfinite(r.out.at(99, 3)));
    EXPECT_TRUE(std::isfinite(r.out.at(63, 3)));
    EXPECT_TRUE(std::isnan(r.q_gradient.at(99, 0)));
  }
}

// The doubles above, by themselves: their gradients are those of their forward.
TEST(SequenceAttentionOracle, HasTheGradientsOfFiniteDifferences) {
  for (const int window : {0, 4}) {
    const Shape s{.length = 9, .group = 2, .head_dim = 3, .window = window};
    Random random(700);
    Operands o(s, random);
    const auto loss = [&] {
      const Exact exact(s, o);
      double sum = 0;
      for (int i = 0; i < s.length; ++i) {
        for (int c = 0; c < o.q.columns; ++c) {
          sum += exact.out[static_cast<size_t>(i * o.q.columns + c)] * o.out_gradient.at(i, c);
        }
      }
      return sum;
    };
    const Exact exact(s, o);
    const auto check = [&](Rows& rows, const Doubles& gradient) {
      for (int r = 0; r < s.length; ++r) {
        for (int c = 0; c < rows.columns; ++c) {
          const float before = rows.at(r, c);
          constexpr float kStep = 0x1p-10f;
          // Operands are f32: the steps that are really taken count.
          const float above = before + kStep, below = before - kStep;
          rows.at(r, c) = above;
          const double high = loss();
          rows.at(r, c) = below;
          const double low = loss();
          rows.at(r, c) = before;
          // The third derivative times h²/6: operands are of order 1.
          ASSERT_NEAR((high - low) / (double{above} - double{below}),
                      gradient[static_cast<size_t>(r * rows.columns + c)], 1e-5);
        }
      }
    };
    check(o.q, exact.q_gradient);
    check(o.k, exact.k_gradient);
    check(o.v, exact.v_gradient);
  }
}

}  // namespace
}  // namespace lodestone::kernels
