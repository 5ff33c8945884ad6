#include <cmath>
#include <limits>

#include "cases.h"

namespace lodestone::kernels {
namespace {

constexpr double kUnit = 0x1p-24;

// One row's attention with its blocks. Positions outside [first, context) hold what a freed page may hold: NaN and wild
// codes.
struct AttendCase {
  KvCode code = KvCode::kF32;
  int heads = 1, head_dim = 8, first = 0, context = 1, max_code = 127;
  float scale = 0.3f, p_max = 255, p_scale = 0;
  std::vector<float> q, k, v;  // values as a double sees them, [.][head_dim]
  std::vector<uint16_t> q_bf16, k_bf16, v_bf16;
  std::vector<int8_t> q_int, k_int, v_int;
  std::vector<float> q_scales, k_scales, v_scales;

  int blocks() const { return (context + kBlockTokens - 1) / kBlockTokens; }

  void Build(Random& random) {
    const size_t positions = static_cast<size_t>(blocks() * kBlockTokens), dim = static_cast<size_t>(head_dim);
    q = random.Normals(static_cast<size_t>(heads) * dim);
    k = random.Normals(positions * dim);
    v = random.Normals(positions * dim);
    for (auto [values, bits] : {std::pair{&q, &q_bf16}, {&k, &k_bf16}, {&v, &v_bf16}}) {
      for (float& value : *values) {
        bits->push_back(FloatToBf16(value));
        if (code == KvCode::kBf16) value = Bf16ToFloat(bits->back());
      }
    }
    q_scales.resize(static_cast<size_t>(heads));
    k_scales.resize(positions);
    v_scales.resize(positions);
    for (auto* scales : {&q_scales, &k_scales, &v_scales}) {
      for (float& s : *scales) s = 0.01f * static_cast<float>(random.Int(10, 200)) / static_cast<float>(max_code);
    }
    if (p_scale != 0) std::fill(v_scales.begin(), v_scales.end(), 0.02f);
    for (auto [values, codes, scales] :
         {std::tuple{&q, &q_int, &q_scales}, {&k, &k_int, &k_scales}, {&v, &v_int, &v_scales}}) {
      for (size_t i = 0; i < values->size(); ++i) {
        codes->push_back(static_cast<int8_t>(random.Int(-max_code, max_code)));
        if (code == KvCode::kInt) (*values)[i] = static_cast<float>(codes->back()) * (*scales)[i / dim];
      }
    }
    for (size_t t = 0; t < positions; ++t) {
      if (static_cast<int>(t) >= first && static_cast<int>(t) < context) continue;
      k_scales[t] = v_scales[t] = std::nanf("");
      for (size_t d = t * dim; d < (t + 1) * dim; ++d) {
        k[d] = v[d] = std::nanf("");
        k_bf16[d] = v_bf16[d] = 0x7fc0;
        k_int[d] = v_int[d] = -128;
      }
    }
  }

  std::vector<float> Run(const KernelTable& table, int head_begin = 0, int head_count = -1) const {
    std::vector<KvBlock> block_list(static_cast<size_t>(blocks()));
    for (int b = 0; b < blocks(); ++b) {
      const size_t at = static_cast<size_t>(b * kBlockTokens * head_dim);
      KvBlock& block = block_list[static_cast<size_t>(b)];
      if ((b + 1) * kBlockTokens <= first) continue;  // a window's released blocks have no memory
      switch (code) {
        case KvCode::kF32:
          block = {k.data() + at, v.data() + at, nullptr, nullptr};
          break;
        case KvCode::kBf16:
          block = {k_bf16.data() + at, v_bf16.data() + at, nullptr, nullptr};
          break;
        case KvCode::kInt:
          block = {k_int.data() + at, v_int.data() + at, k_scales.data() + b * kBlockTokens,
                   v_scales.data() + b * kBlockTokens};
          break;
      }
    }
    AttendArgs a{};
    const int count = head_count < 0 ? heads : head_count;
    const size_t q_at = static_cast<size_t>(head_begin * head_dim);
    a.q = code == KvCode::kF32
              ? static_cast<const void*>(q.data() + q_at)
              : (code == KvCode::kBf16 ? static_cast<const void*>(q_bf16.data() + q_at) : q_int.data() + q_at);
    a.q_scales = q_scales.data() + head_begin;
    a.q_scales_stride = 1;
    a.blocks = block_list.data();
    a.code = code;
    a.heads = count;
    a.head_dim = head_dim;
    a.first = first;
    a.context = context;
    a.scale = scale;
    a.p_max = p_max;
    a.p_scale = p_scale;
    std::vector<float> out(static_cast<size_t>(count * head_dim) + 16, kUntouched);
    std::vector<float> scratch(static_cast<size_t>(blocks() * kBlockTokens), std::nanf(""));
    a.out = out.data();
    a.scratch = scratch.data();
    table.attend(a);
    for (size_t i = out.size() - 16; i < out.size(); ++i) EXPECT_EQ(out[i], kUntouched);
    out.resize(out.size() - 16);
    return out;
  }

  std::string Name() const {
    return fmt::format("code {}, heads {}, head_dim {}, first {}, context {}, max_code {}, p_max {}, p_scale {}",
                       static_cast<int>(code), heads, head_dim, first, context, max_code, p_max, p_scale);
  }
};

AttendCase RandomCase(KvCode code, Random& random) {
  AttendCase c;
  c.code = code;
  c.heads = random.Int(1, 4);
  c.head_dim = random.Int(0, 2) == 0 ? 16 * random.Int(1, 12) : random.Int(1, 140);
  c.context = random.Int(1, 330);
  c.first = random.Int(0, 1) == 0 ? 0 : random.Int(0, c.context - 1);
  c.scale = 1.0f / std::sqrt(static_cast<float>(c.head_dim));
  if (code == KvCode::kInt) {
    c.max_code = random.Int(0, 1) == 0 ? 127 : 7;
    c.p_max = random.Int(0, 1) == 0 ? 255 : 15;
    if (random.Int(0, 1) == 0) c.p_scale = 1.0f / c.p_max;
  }
  c.Build(random);
  return c;
}

// Attention in double and the bound on its distance from the kernel's.
//   score   (head_dim / 16 + 10) roundings of Σ|q k|, and the subtraction of the maximum rounds |s − max|
//   weight  exp within 2 ulp, a sum of (64 / 16 + 5 + blocks) roundings, a reciprocal and a product; for bf16 half a
//   unit of 2⁻⁸ code    half a step of P a position sum     64 + blocks roundings of Σ p|v|
void CheckAgainstDouble(const AttendCase& c, const std::vector<float>& out) {
  WorstError worst;
  for (int h = 0; h < c.heads; ++h) {
    std::vector<double> score(static_cast<size_t>(c.context), -INFINITY);
    double score_error = 0, max = -INFINITY, min = INFINITY;
    for (int t = c.first; t < c.context; ++t) {
      double dot = 0, magnitude = 0;
      for (int d = 0; d < c.head_dim; ++d) {
        const double product =
            double{c.q[static_cast<size_t>(h * c.head_dim + d)]} * c.k[static_cast<size_t>(t * c.head_dim + d)];
        dot += product;
        magnitude += std::abs(product);
      }
      score[static_cast<size_t>(t)] = dot * c.scale;
      score_error = std::max(score_error, (c.head_dim / 16.0 + 10) * kUnit * magnitude * c.scale);
      max = std::max(max, score[static_cast<size_t>(t)]);
      min = std::min(min, score[static_cast<size_t>(t)]);
    }
    double total = 0;
    for (int t = c.first; t < c.context; ++t) total += std::exp(score[static_cast<size_t>(t)] - max);
    const double weight_error = std::expm1(2 * (2 * score_error + (max - min) * kUnit)) +
                                (4 + 9 + c.blocks() + 3) * kUnit + (c.code == KvCode::kBf16 ? 0x1p-8 : 0);
    for (int d = 0; d < c.head_dim; ++d) {
      double sum = 0, magnitude = 0, quantum = 0;
      for (int b = 0; b < c.blocks(); ++b) {
        double largest = 0, codes = 0;
        for (int t = std::max(c.first, b * kBlockTokens); t < std::min(c.context, (b + 1) * kBlockTokens); ++t) {
          const size_t at = static_cast<size_t>(t * c.head_dim + d);
          const double p = std::exp(score[static_cast<size_t>(t)] - max) / total;
          sum += p * c.v[at];
          magnitude += p * std::abs(c.v[at]);
          if (c.code != KvCode::kInt) continue;
          largest = std::max(largest, p * c.v_scales[static_cast<size_t>(t)]);
          codes += std::abs(c.v_int[at]);
        }
        const double step = c.p_scale != 0 ? double{c.p_scale} * 0.02f : largest / c.p_max;
        // A code is off by half a step and by what its weight is off.
        quantum += step * codes * (0.5 + (weight_error + 6 * kUnit) * c.p_max);
      }
      const double sums = (kBlockTokens + c.blocks() + 2) * kUnit;
      const size_t at = static_cast<size_t>(h * c.head_dim + d);
      worst.Check(at, out[at], sum, magnitude * (weight_error + sums) + quantum + 1e-30);
    }
  }
  ASSERT_TRUE(worst.ok()) << c.Name() << ": " << worst.line();
}

class AttendProperty : public EachIsa {};
INSTANTIATE_TEST_SUITE_P(Isa, AttendProperty, AllIsas(), IsaName);

constexpr KvCode kCodes[] = {KvCode::kF32, KvCode::kBf16, KvCode::kInt};

TEST_P(AttendProperty, EqualsTheReferenceAndADoubleWithinItsBound) {
  Random random(1);
  for (const KvCode code : kCodes) {
    for (int round = 0; round < 60; ++round) {
      const AttendCase c = RandomCase(code, random);
      const std::vector<float> out = c.Run(table());
      ASSERT_TRUE(SameBits(out, c.Run(Reference()))) << c.Name();
      CheckAgainstDouble(c, out);
      if (HasFatalFailure()) return;
    }
  }
}

TEST_P(AttendProperty, EveryHeadTailAndEveryContextAroundABlock) {
  Random random(2);
  for (const KvCode code : kCodes) {
    for (int i = 1; i <= 70; ++i) {
      AttendCase c;
      c.code = code;
      c.head_dim = i;
      c.context = 60 + i;
      c.first = i > 40 ? i + 25 : 0;
      c.Build(random);
      ASSERT_TRUE(SameBits(c.Run(table()), c.Run(Reference()))) << c.Name();
    }
  }
}

TEST_P(AttendProperty, AHeadAloneHasTheBitsThatItHasInItsGroup) {
  Random random(3);
  for (const KvCode code : kCodes) {
    AttendCase c = RandomCase(code, random);
    const std::vector<float> group = c.Run(table());
    for (int h = 0; h < c.heads; ++h) {
      const auto expected =
          std::span(group).subspan(static_cast<size_t>(h * c.head_dim), static_cast<size_t>(c.head_dim));
      EXPECT_TRUE(SameBits(c.Run(table(), h, 1), expected)) << c.Name();
    }
  }
}

// With one position P is 1, whatever the score: the result is V, up to the roundings of its scale.
TEST_P(AttendProperty, OnePositionReturnsItsValue) {
  Random random(4);
  for (const KvCode code : kCodes) {
    for (const float p_scale : {0.0f, 1.0f / 255}) {
      AttendCase c;
      c.code = code;
      c.head_dim = 40;
      c.first = 77;
      c.context = 78;
      c.p_scale = code == KvCode::kInt ? p_scale : 0;
      c.Build(random);
      const std::vector<float> out = c.Run(table());
      for (int d = 0; d < c.head_dim; ++d) {
        const float v = c.v[static_cast<size_t>(77 * c.head_dim + d)];
        EXPECT_NEAR(out[static_cast<size_t>(d)], v, 4 * kUnit * std::abs(v)) << c.Name();
      }
    }
  }
}

// Scores far apart: one weight is 1 and the others underflow to exactly 0.
TEST_P(AttendProperty, LargeScoresNeitherOverflowNorLeak) {
  Random random(5);
  AttendCase c;
  c.head_dim = 16;
  c.context = 100;
  c.scale = 1e6f;
  c.Build(random);
  const std::vector<float> out = c.Run(table());
  int best = 0;
  double best_dot = -INFINITY;
  for (int t = 0; t < c.context; ++t) {
    double dot = 0;
    for (int d = 0; d < 16; ++d) dot += double{c.q[static_cast<size_t>(d)]} * c.k[static_cast<size_t>(t * 16 + d)];
    if (dot > best_dot) best = t, best_dot = dot;
  }
  for (int d = 0; d < 16; ++d) EXPECT_EQ(out[static_cast<size_t>(d)], c.v[static_cast<size_t>(best * 16 + d)]);
}

TEST_P(AttendProperty, ABadScoreOrScaleShowsInTheResult) {
  Random random(6);
  for (const KvCode code : kCodes) {
    AttendCase c;
    c.code = code;
    c.heads = 2;
    c.head_dim = 20;
    c.context = 90;
    c.Build(random);
    AttendCase bad_q = c;
    bad_q.q[3] = bad_q.q_scales[0] = std::nanf("");
    bad_q.q_bf16[3] = 0x7fc0;
    std::vector<float> out = bad_q.Run(table());
    EXPECT_TRUE(std::isnan(out[0])) << c.Name();
    EXPECT_FALSE(std::isnan(out[20])) << c.Name();  // the second head
    AttendCase bad_v = c;
    bad_v.v[5 * 20] = bad_v.v_scales[5] = std::nanf("");
    bad_v.v_bf16[5 * 20] = 0x7fc0;
    out = bad_v.Run(table());
    EXPECT_TRUE(std::isnan(out[0])) << c.Name();
  }
}

}  // namespace
}  // namespace lodestone::kernels
