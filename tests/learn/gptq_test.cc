#include "learn/gptq.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "kernels/dispatch.h"
#include "numerics/rounding.h"

namespace lodestone::testing {
namespace {

const kernels::KernelTable& Kernels() { return **kernels::SelectFromEnvironment(); }

// Values in [−1, 1) that look random.
float Noise(uint64_t key) {
  key = (key ^ (key >> 30)) * 0xbf58476d1ce4e5b9ull + 0x9e3779b97f4a7c15ull;
  key = (key ^ (key >> 27)) * 0x94d049bb133111ebull;
  return static_cast<float>(static_cast<double>((key ^ (key >> 31)) >> 11) * 0x1.0p-52 - 1);
}

// A layer W[n][k] and the inputs X[rows][k] that it sees.
struct Layer {
  int n, k, rows;
  std::vector<float> w, x;

  // `common` of 0: inputs do not correlate; of 1: each is mostly what eight hidden values say.
  Layer(int outputs, int inputs, float common) : n(outputs), k(inputs), rows(2 * inputs) {
    for (int i = 0; i < n * k; ++i)
      w.push_back(Noise(static_cast<uint64_t>(i) + 1) + Noise(static_cast<uint64_t>(i) + 77777));
    for (int t = 0; t < rows; ++t) {
      for (int i = 0; i < k; ++i) {
        float value = Noise(static_cast<uint64_t>(t * k + i) + 1000003);
        for (int c = 0; c < 8; ++c) {
          value += common * 3 * Noise(static_cast<uint64_t>(t * 8 + c) + 2000003) *
                   Noise(static_cast<uint64_t>(c * k + i) + 3000017);
        }
        x.push_back(value);
      }
    }
  }

  RowReader Rows() const {
    return [this](int o, std::span<float> row) {
      std::copy_n(w.begin() + static_cast<std::ptrdiff_t>(o) * k, k, row.begin());
      return Status();
    };
  }

  Hessian Moments(ThreadPool& threads) const {
    Hessian h = *Hessian::Make(k);
    h.Add(Kernels(), threads, x.data(), k, rows);
    return h;
  }

  // ‖X (W − Ŵ)ᵀ‖².
  double Loss(const PackedMatrix& packed) const {
    double loss = 0;
    std::vector<float> row(static_cast<size_t>(k));
    for (int o = 0; o < n; ++o) {
      UnpackRow(packed, o, row);
      for (int t = 0; t < rows; ++t) {
        double sum = 0;
        for (int i = 0; i < k; ++i) sum += double{x[t * k + i]} * (double{w[o * k + i]} - double{row[i]});
        loss += sum * sum;
      }
    }
    return loss;
  }
};

PackedMatrix Quantize(const Layer& layer, const Format& format, int thread_count = 2) {
  ThreadPool threads(thread_count);
  Hessian h = layer.Moments(threads);
  EXPECT_TRUE(h.Factorize(Kernels(), threads, 0.01).ok());
  auto packed = GptqPack(format, layer.n, layer.k, layer.Rows(), h, Kernels(), threads);
  EXPECT_TRUE(packed.ok()) << packed.error().message;
  return *std::move(packed);
}

constexpr Format kInt4{.code = Code::kInt4, .scales = Scales::kChannel};
constexpr Format kInt8{.code = Code::kInt8, .scales = Scales::kChannel};
constexpr Format Groups(uint16_t group) { return {.code = Code::kInt4, .scales = Scales::kGroup, .group = group}; }

// The algorithm as the paper states it, in f64: Cholesky of H⁻¹, one column at a time, the error of each subtracted
// from all that follow. int8·channel.
std::vector<std::vector<int>> PaperCodes(const Layer& layer) {
  const auto k = static_cast<size_t>(layer.k);
  std::vector<double> h(k * k, 0.0), inverse(k * k, 0.0);
  for (int t = 0; t < layer.rows; ++t) {
    for (size_t i = 0; i < k; ++i) {
      for (size_t j = 0; j < k; ++j) h[i * k + j] += double{layer.x[t * k + i]} * double{layer.x[t * k + j]};
    }
  }
  double mean = 0;
  for (size_t i = 0; i < k; ++i) mean += h[i * k + i] / static_cast<double>(k);
  for (size_t i = 0; i < k; ++i) {
    h[i * k + i] += 0.01 * mean;
    inverse[i * k + i] = 1;
  }
  for (size_t p = 0; p < k; ++p) {  // Gauss and Jordan
    const double pivot = h[p * k + p];
    for (size_t j = 0; j < k; ++j) {
      h[p * k + j] /= pivot;
      inverse[p * k + j] /= pivot;
    }
    for (size_t r = 0; r < k; ++r) {
      const double factor = h[r * k + p];
      if (r == p || factor == 0) continue;
      for (size_t j = 0; j < k; ++j) {
        h[r * k + j] -= factor * h[p * k + j];
        inverse[r * k + j] -= factor * inverse[p * k + j];
      }
    }
  }
  std::vector<double> u(k * k, 0.0);  // H⁻¹ = Uᵀ U
  for (size_t i = 0; i < k; ++i) {
    for (size_t j = i; j < k; ++j) {
      double sum = inverse[i * k + j];
      for (size_t m = 0; m < i; ++m) sum -= u[m * k + i] * u[m * k + j];
      u[i * k + j] = i == j ? std::sqrt(sum) : sum / u[i * k + i];
    }
  }
  std::vector<std::vector<int>> codes;
  for (int o = 0; o < layer.n; ++o) {
    std::vector<double> w(layer.w.begin() + static_cast<std::ptrdiff_t>(o * k),
                          layer.w.begin() + static_cast<std::ptrdiff_t>((o + 1) * k));
    double scale = 0;
    for (const double value : w) scale = std::max(scale, std::abs(value) / 127);
    std::vector<int>& row = codes.emplace_back();
    for (size_t i = 0; i < k; ++i) {
      const double code = std::clamp(std::nearbyint(w[i] / scale), -127.0, 127.0);
      const double error = (w[i] - code * scale) / u[i * k + i];
      for (size_t j = i; j < k; ++j) w[j] -= error * u[i * k + j];
      row.push_back(static_cast<int>(code));
    }
  }
  return codes;
}

TEST(Gptq, GivesTheCodesOfThePaper) {
  const Layer layer(6, 150, 0.5f);  // more than one block of columns
  const std::vector<std::vector<int>> expected = PaperCodes(layer);
  const PackedMatrix packed = Quantize(layer, kInt8);
  int equal = 0;
  for (int o = 0; o < layer.n; ++o) {
    for (int i = 0; i < layer.k; ++i) equal += UnpackedCode(packed, o, i) == expected[o][i];
  }
  // f32 sums of k terms against f64 move a weight by some 10⁻⁵ of a step of 127, so that now and then one rounds the
  // other way, and by one step moves those that follow.
  EXPECT_GE(equal, layer.n * layer.k * 95 / 100);
}

TEST(GptqProperty, LosesLessThanRoundingOnCorrelatedInputs) {
  for (const auto& [n, k] : {std::pair(37, 200), std::pair(16, 96), std::pair(5, 300)}) {
    const Layer layer(n, k, 1);
    for (const Format& format : {kInt4, kInt8, Groups(32), Groups(64), Groups(128)}) {
      const double rounded = layer.Loss(*Pack(format, n, k, layer.Rows()));
      const double chosen = layer.Loss(Quantize(layer, format));
      EXPECT_LT(chosen, 0.5 * rounded) << ToString(format) << " " << n << " x " << k;
    }
  }
}

TEST(Gptq, IsRoundingWhereInputsDoNotCorrelate) {
  const Layer layer(20, 140, 0);
  ThreadPool threads(2);
  Hessian h = *Hessian::Make(layer.k);  // nothing seen: H = I
  ASSERT_TRUE(h.Factorize(Kernels(), threads, 0.01).ok());
  const auto packed = GptqPack(kInt8, layer.n, layer.k, layer.Rows(), h, Kernels(), threads);
  const auto rounded = Pack(kInt8, layer.n, layer.k, layer.Rows());
  ASSERT_TRUE(packed.ok() && rounded.ok());
  for (int o = 0; o < layer.n; ++o) {
    for (int i = 0; i < layer.k; ++i) ASSERT_EQ(UnpackedValue(*packed, o, i), UnpackedValue(*rounded, o, i));
  }
}

TEST(Gptq, IsTheSameForAnyNumberOfThreads) {
  const Layer layer(50, 270, 1);
  for (const Format& format : {kInt4, Groups(64)}) {
    const PackedMatrix one = Quantize(layer, format, 1), many = Quantize(layer, format, 5);
    ASSERT_EQ(one.codes.size(), many.codes.size());
    EXPECT_TRUE(std::equal(one.codes.data(), one.codes.data() + one.codes.size(), many.codes.data()));
    EXPECT_TRUE(std::equal(one.scales.data(), one.scales.data() + one.scales.size(), many.scales.data()));
    EXPECT_TRUE(
        std::equal(one.multipliers.data(), one.multipliers.data() + one.multipliers.size(), many.multipliers.data()));
  }
}

TEST(Gptq, KeepsZeroRowsZero) {
  Layer layer(3, 64, 1);
  std::fill_n(layer.w.begin() + 64, 64, 0.0f);
  for (const Format& format : {kInt4, kInt8, Groups(32)}) {
    const PackedMatrix packed = Quantize(layer, format);
    for (int i = 0; i < 64; ++i) EXPECT_EQ(UnpackedValue(packed, 1, i), 0.0f) << ToString(format);
    EXPECT_NE(UnpackedValue(packed, 2, 0), 0.0f);
  }
}

TEST(Gptq, RefusesWeightsThatAreNoNumbers) {
  Layer layer(40, 64, 1);
  ThreadPool threads(2);
  Hessian h = layer.Moments(threads);
  ASSERT_TRUE(h.Factorize(Kernels(), threads, 0.01).ok());
  layer.w[33 * 64 + 7] = std::numeric_limits<float>::quiet_NaN();
  const auto packed = GptqPack(kInt4, layer.n, layer.k, layer.Rows(), h, Kernels(), threads);
  ASSERT_FALSE(packed.ok());
  EXPECT_NE(packed.error().message.find("output 33, input 7"), std::string::npos) << packed.error().message;
}

}  // namespace
}  // namespace lodestone::testing
