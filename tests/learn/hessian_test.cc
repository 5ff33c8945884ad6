#include "learn/hessian.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "kernels/dispatch.h"

namespace lodestone::testing {
namespace {

// Correlated inputs [rows][stride]: each channel a mixture of a few common waves and its own.
std::vector<float> Inputs(int rows, int k, int stride) {
  std::vector<float> x(static_cast<size_t>(rows) * stride, 1e30f);  // what lies behind k must not matter
  for (int t = 0; t < rows; ++t) {
    for (int i = 0; i < k; ++i) {
      x[static_cast<size_t>(t) * stride + i] =
          static_cast<float>(std::sin(0.3 * t + 0.01 * i) + 0.3 * std::sin(1.7 * t * (i % 13 + 1) + i));
    }
  }
  return x;
}

const kernels::KernelTable& Kernels() { return **kernels::SelectFromEnvironment(); }

// Σ x xᵀ in f64.
std::vector<double> Moments(const std::vector<float>& x, int rows, int k, int stride) {
  std::vector<double> h(static_cast<size_t>(k) * k, 0.0);
  for (int t = 0; t < rows; ++t) {
    const float* row = x.data() + static_cast<size_t>(t) * stride;
    for (int i = 0; i < k; ++i) {
      for (int j = 0; j < k; ++j) h[static_cast<size_t>(i) * k + j] += double{row[i]} * double{row[j]};
    }
  }
  return h;
}

TEST(HessianProperty, SumsSecondMoments) {
  ThreadPool threads(3);
  for (const int k : {1, 15, 64, 130, 200}) {
    const int rows = 70, stride = k + 3;
    const std::vector<float> x = Inputs(rows, k, stride);
    const std::vector<double> expected = Moments(x, rows, k, stride);
    Hessian h = *Hessian::Make(k);
    h.Add(Kernels(), threads, x.data(), stride, 30);
    h.Add(Kernels(), threads, x.data() + 30 * stride, stride, rows - 30);
    for (int i = 0; i < k; ++i) {
      for (int j = i; j < k; ++j) {
        // rows products and sums, each off by at most 2⁻²⁴ of the terms' magnitudes, which √(H_ii H_jj) bounds.
        const double bound =
            (rows + 1) * 0x1p-24 *
            std::sqrt(expected[static_cast<size_t>(i) * k + i] * expected[static_cast<size_t>(j) * k + j]);
        ASSERT_NEAR(h.Row(i)[j], expected[static_cast<size_t>(i) * k + j], bound) << k << ": " << i << ", " << j;
      }
    }
  }
}

TEST(HessianProperty, FactorizesIntoUpperTriangles) {
  ThreadPool threads(2);
  for (const int k : {1, 5, 127, 128, 129, 300}) {
    const int rows = 400;
    const std::vector<float> x = Inputs(rows, k, k);
    Hessian h = *Hessian::Make(k);
    h.Add(Kernels(), threads, x.data(), k, rows);
    std::vector<double> damped(static_cast<size_t>(k) * k);
    double mean = 0;
    for (int i = 0; i < k; ++i) {
      mean += double{h.Row(i)[i]} / k;
      for (int j = i; j < k; ++j) damped[static_cast<size_t>(i) * k + j] = h.Row(i)[j];
    }
    for (int i = 0; i < k; ++i) damped[static_cast<size_t>(i) * k + i] += 0.01 * mean;
    const auto damping = h.Factorize(Kernels(), threads, 0.01);
    ASSERT_TRUE(damping.ok()) << damping.error().message;
    EXPECT_EQ(*damping, 0.01);
    for (int i = 0; i < k; ++i) {
      EXPECT_GT(h.Row(i)[i], 0);
      for (int j = i; j < k; ++j) {
        double product = 0;
        for (int m = j; m < k; ++m) product += double{h.Row(i)[m]} * double{h.Row(j)[m]};
        // Cholesky is backward stable: |U Uᵀ − H|_ij ≤ (k + 2) u √(H_ii H_jj) (Higham, theorem 10.3).
        const double bound = 2 * (k + 2) * 0x1p-24 *
                             std::sqrt(damped[static_cast<size_t>(i) * k + i] * damped[static_cast<size_t>(j) * k + j]);
        ASSERT_NEAR(product, damped[static_cast<size_t>(i) * k + j], bound) << k << ": " << i << ", " << j;
      }
    }
  }
}

TEST(Hessian, IsTheSameForAnyNumberOfThreads) {
  constexpr int kInputs = 290, kRows = 64;
  const std::vector<float> x = Inputs(kRows, kInputs, kInputs);
  std::vector<std::vector<float>> factors;
  for (const int count : {1, 2, 5}) {
    ThreadPool threads(count);
    Hessian h = *Hessian::Make(kInputs);
    h.Add(Kernels(), threads, x.data(), kInputs, kRows);
    ASSERT_TRUE(h.Factorize(Kernels(), threads, 0.01).ok());
    std::vector<float>& factor = factors.emplace_back();
    for (int i = 0; i < kInputs; ++i) factor.insert(factor.end(), h.Row(i) + i, h.Row(i) + kInputs);
  }
  EXPECT_EQ(factors[0], factors[1]);
  EXPECT_EQ(factors[0], factors[2]);
}

TEST(Hessian, GivesInputsThatWereNeverSeenTheDampingAlone) {
  ThreadPool threads(1);
  const std::vector<float> x = {2, 0, 0, 2, 0, 0};  // two rows of three inputs: H = diag(8, 0, 0)
  Hessian h = *Hessian::Make(3);
  h.Add(Kernels(), threads, x.data(), 3, 2);
  ASSERT_TRUE(h.Factorize(Kernels(), threads, 0.01).ok());
  EXPECT_FLOAT_EQ(h.Row(1)[1], std::sqrt(0.01f * 8 / 3));
  EXPECT_EQ(h.Row(0)[1], 0);

  Hessian unseen = *Hessian::Make(3);
  ASSERT_TRUE(unseen.Factorize(Kernels(), threads, 0.01).ok());
  for (int i = 0; i < 3; ++i) EXPECT_FLOAT_EQ(unseen.Row(i)[i], 1);
}

TEST(Hessian, RaisesADampingThatRoundingSwallows) {
  ThreadPool threads(2);
  constexpr int kInputs = 64;
  const std::vector<float> x(kInputs, 1.0f);  // rank 1
  Hessian h = *Hessian::Make(kInputs);
  h.Add(Kernels(), threads, x.data(), kInputs, 1);
  const auto damping = h.Factorize(Kernels(), threads, 1e-9);
  ASSERT_TRUE(damping.ok()) << damping.error().message;
  EXPECT_GT(*damping, 1e-9);
  EXPECT_LT(*damping, 1e-4);
}

TEST(Hessian, RefusesInputsThatOverflow) {
  ThreadPool threads(1);
  const std::vector<float> x = {1, std::numeric_limits<float>::infinity()};
  Hessian h = *Hessian::Make(2);
  h.Add(Kernels(), threads, x.data(), 2, 1);
  EXPECT_FALSE(h.Factorize(Kernels(), threads, 0.01).ok());
}

}  // namespace
}  // namespace lodestone::testing
