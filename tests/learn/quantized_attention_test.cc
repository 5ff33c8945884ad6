#include "learn/quantized_attention.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/dispatch.h"
#include "learn/lsq.h"
#include "learn/noise.h"

namespace lodestone::testing {
namespace {

const kernels::KernelTable& Table() { return **kernels::SelectFromEnvironment(); }

QuantizedAttention Small(Code kv, Code probability, int window) {
  return {.sequences = 2,
          .length = 70,  // more than a block of 64
          .heads = 4,
          .kv_heads = 2,
          .head_dim = 12,
          .window = window,
          .scale = 0.3F,
          .query = kv,
          .kv = kv,
          .probability = probability,
          .query_step = kv == Code::kInt4 ? 0.4F : 0.03F,
          .key_step = kv == Code::kInt4 ? 0.5F : 0.025F,
          .value_step = kv == Code::kInt4 ? 0.45F : 0.02F,
          .probability_step = probability == Code::kUint4 ? 0.02F : 0.002F};
}

struct Values {
  std::vector<float> q, k, v;
};

// q̂, k̂, v̂ of noise.
Values MakeValues(const QuantizedAttention& a) {
  ThreadPool threads(1);
  const auto rounded = [&](int64_t width, float step, uint64_t seed) {
    std::vector<float> x = Noise(static_cast<size_t>(a.rows() * width), seed);
    LsqValues(Table(), threads, x.data(), width, a.rows(), static_cast<int>(width), step,
              static_cast<float>(MaxCode(a.kv)), x.data(), width);
    return x;
  };
  return {rounded(a.q_width(), a.query_step, 1), rounded(a.kv_width(), a.key_step, 2),
          rounded(a.kv_width(), a.value_step, 3)};
}

std::vector<float> Forward(const QuantizedAttention& a, const Values& values, int thread_count) {
  ThreadPool threads(thread_count);
  const auto width = static_cast<int>(a.q_width());
  std::vector<int8_t> codes(static_cast<size_t>(a.rows() * width));
  LsqForward(Table(), threads, values.q.data(), width, a.rows(), width, width, a.query_step,
             static_cast<float>(MaxCode(a.query)), codes.data());
  std::vector<float> out(codes.size());
  QuantizedAttentionForward(Table(), threads, a, codes.data(), width, values.k.data(), values.v.data(), out.data());
  return out;
}

// Attention in double from q̂, k̂, v̂. The codes of P are rounded at `at`'s probabilities and step; what LSQ
// differentiates is step × (p / step + remainder) inside and step × max outside.
class Exact {
 public:
  explicit Exact(const QuantizedAttention& a) : a_(a) {}

  // Σ out × weights. The first call fixes the remainders.
  double Loss(const std::vector<double>& q, const std::vector<double>& k, const std::vector<double>& v, double step,
              const std::vector<float>& weights, std::vector<double>* out = nullptr) {
    const bool fixes = remainders_.empty();
    const double max = MaxCode(a_.probability);
    size_t next = 0;
    double loss = 0;
    const int group = a_.heads / a_.kv_heads, d = a_.head_dim;
    for (int64_t row = 0; row < a_.rows(); ++row) {
      const int64_t start = row / a_.length * a_.length;
      const int64_t first = a_.window > 0 ? std::max(start, row + 1 - a_.window) : start;
      for (int h = 0; h < a_.heads; ++h) {
        const double* query = q.data() + row * a_.q_width() + h * d;
        std::vector<double> p;
        for (int64_t t = first; t <= row; ++t) {
          double dot = 0;
          for (int i = 0; i < d; ++i) dot += query[i] * k[t * a_.kv_width() + h / group * d + i];
          p.push_back(std::exp(a_.scale * dot));
        }
        double sum = 0;
        for (const double e : p) sum += e;
        for (double& e : p) {
          e /= sum;
          if (fixes) {
            const bool inside = e / step < max;
            remainders_.push_back(inside ? std::nearbyint(e / step) - e / step : HUGE_VAL);
          }
          const double remainder = remainders_[next++];
          e = std::isinf(remainder) ? step * max : e + step * remainder;
        }
        for (int i = 0; i < d; ++i) {
          double o = 0;
          for (int64_t t = first; t <= row; ++t) o += p[t - first] * v[t * a_.kv_width() + h / group * d + i];
          loss += o * weights[row * a_.q_width() + h * d + i];
          if (out != nullptr) out->push_back(o);
        }
      }
    }
    return loss;
  }
  int64_t clipped() const { return std::count(remainders_.begin(), remainders_.end(), HUGE_VAL); }

 private:
  const QuantizedAttention& a_;
  std::vector<double> remainders_;
};

std::vector<double> Doubles(const std::vector<float>& x) { return {x.begin(), x.end()}; }

TEST(QuantizedAttention, ForwardIsThatOfTheExactSum) {
  for (const int window : {0, 9}) {
    const QuantizedAttention a = Small(Code::kInt8, Code::kUint8, window);
    const Values values = MakeValues(a);
    const std::vector<float> out = Forward(a, values, 2);
    EXPECT_EQ(out, Forward(a, values, 1));
    std::vector<double> expected;
    Exact(a).Loss(Doubles(values.q), Doubles(values.k), Doubles(values.v), a.probability_step, out, &expected);
    // A probability near a half may round to either side: one step of P times a value of at most 4 each, seldom twice.
    for (size_t i = 0; i < out.size(); ++i) ASSERT_NEAR(out[i], expected[i], 8 * a.probability_step) << i;
  }
}

TEST(QuantizedAttention, BackwardIsTheGradientOfTheSurrogate) {
  for (const Code kv : {Code::kInt4, Code::kInt8}) {
    for (const int window : {0, 9}) {
      const QuantizedAttention a = Small(kv, kv == Code::kInt4 ? Code::kUint4 : Code::kUint8, window);
      const Values values = MakeValues(a);
      const std::vector<float> weights = Noise(static_cast<size_t>(a.rows() * a.q_width()), 4);
      std::vector<float> dq(values.q.size()), dk(values.k.size()), dv(values.v.size());
      float dstep = 1;
      ThreadPool threads(2);
      QuantizedAttentionBackward(
          kernels::TrainingTableFor(Table()), threads, a, values.q.data(), values.k.data(), values.v.data(),
          {.out = weights.data(), .q = dq.data(), .k = dk.data(), .v = dv.data(), .probability_step = &dstep});

      Exact exact(a);
      std::vector<double> q = Doubles(values.q), k = Doubles(values.k), v = Doubles(values.v);
      double step = a.probability_step;
      exact.Loss(q, k, v, step, weights);
      EXPECT_GT(exact.clipped(), 0);
      const auto slope = [&](double& x) {
        constexpr double kH = 1e-5;
        const double at = x;
        x = at + kH;
        const double above = exact.Loss(q, k, v, step, weights);
        x = at - kH;
        const double below = exact.Loss(q, k, v, step, weights);
        x = at;
        return (above - below) / (2 * kH);
      };
      for (size_t i = 5; i < q.size(); i += 1013) EXPECT_NEAR(dq[i], slope(q[i]), 2e-4) << i;
      for (size_t i = 5; i < k.size(); i += 511) {
        EXPECT_NEAR(dk[i], slope(k[i]), 5e-4) << i;
        EXPECT_NEAR(dv[i], slope(v[i]), 5e-4) << i;
      }
      const double scale = LsqGradientScale(int64_t{a.heads} * a.length, static_cast<float>(MaxCode(a.probability)));
      EXPECT_NEAR(dstep, 1 + scale * slope(step), 2e-3 * std::abs(scale * slope(step)) + 1e-3);
    }
  }
}

TEST(QuantizedAttention, WarmStartKeepsHeadsThatLookEverywhere) {
  QuantizedAttention a = Small(Code::kInt4, Code::kUint4, 0);
  const std::vector<float> zeros(static_cast<size_t>(a.rows() * a.q_width()));
  // Uniform attention over up to 70 positions: steps of 1/15 would round all beyond 30 to nothing.
  const float step = InitialProbabilityStep(a, zeros.data(), zeros.data());
  EXPECT_GT(step, 0);
  EXPECT_LT(step, 2.0F / 70);
}

TEST(QuantizedAttention, WarmStartMeetsEveryHead) {
  QuantizedAttention a = Small(Code::kInt4, Code::kUint4, 0);
  a.sequences = 1;
  for (const int length : {2, 7, 16, 48, 64, 70}) {
    a.length = length;
    const auto step = [&](int sharp) {
      std::vector<float> q(static_cast<size_t>(a.rows() * a.q_width())),
          k(static_cast<size_t>(a.rows() * a.kv_width()));
      for (int g = 0; g < a.kv_heads; ++g) k[g * a.head_dim] = 1;  // of position 0
      for (int64_t r = 0; sharp >= 0 && r < a.rows(); ++r) q[r * a.q_width() + sharp * a.head_dim] = 5;
      return InitialProbabilityStep(a, q.data(), k.data());
    };
    for (int head = 0; head < a.heads; ++head) EXPECT_NE(step(head), step(-1)) << length << ", head " << head;
  }
}

}  // namespace
}  // namespace lodestone::testing
