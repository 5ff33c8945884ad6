// Operands of the three products of a linear layer, random or masked, and what their results must be.
#pragma once

#include <cmath>
#include <optional>

#include "cases.h"
#include "kernels/linear_products.h"

namespace lodestone::kernels {

// Operands of the three products, in rows with gaps, `shift` elements after an aligned address, and their results.
struct LinearCase {
  int rows = 1, n = 1, k = 1, gap = 0, shift = 0;
  Precision precision = Precision::kF32;
  float multiplier = 1;
  bool has_bias = false, accumulate = false;
  std::optional<BlockMask> mask;
  std::vector<float> x, dy, w, bias, y, dx, dw, db;

  int64_t x_stride() const { return k + gap; }
  int64_t y_stride() const { return n + gap; }
  LinearShape Shape() const { return {rows, n, k, precision, mask.has_value() ? &*mask : nullptr}; }
  std::string Name() const {
    return fmt::format("rows {}, n {}, k {}, gap {}, shift {}, {}, multiplier {}, bias {}, accumulate {}, mask {}",
                       rows, n, k, gap, shift, precision == Precision::kBf16 ? "bf16" : "f32", multiplier, has_bias,
                       accumulate, mask.has_value() ? fmt::format("{}x{}", mask->block_rows, mask->block_columns) : "");
  }

  void Build(Random& random) {
    x = random.Normals(static_cast<size_t>(shift + rows * x_stride()));
    dy = random.Normals(static_cast<size_t>(shift + rows * y_stride()));
    w = random.Normals(static_cast<size_t>(shift + n * k));
    bias = random.Normals(static_cast<size_t>(n));
  }
  void Drop(Random& random, int block_rows, int block_columns, int percent) {
    mask.emplace();
    mask->block_rows = block_rows;
    mask->block_columns = block_columns;
    mask->rows = (n + block_rows - 1) / block_rows;
    mask->columns = (k + block_columns - 1) / block_columns;
    mask->kept.resize(static_cast<size_t>(mask->rows * mask->columns));
    for (uint8_t& kept : mask->kept) kept = random.Int(0, 99) >= percent;
    FillDropped(0.0f);
  }
  bool Keeps(int o, int i) const {
    return !mask.has_value() || mask->Keeps(o / mask->block_rows, i / mask->block_columns);
  }
  void FillDropped(float value) {
    for (int o = 0; o < n; ++o) {
      for (int i = 0; i < k; ++i) {
        if (!Keeps(o, i)) W(o, i) = value;
      }
    }
  }

  float& W(int o, int i) { return w[static_cast<size_t>(shift + o * k + i)]; }
  float W(int o, int i) const { return w[static_cast<size_t>(shift + o * k + i)]; }
  float X(int r, int i) const { return x[static_cast<size_t>(shift + r * x_stride() + i)]; }
  float Dy(int r, int o) const { return dy[static_cast<size_t>(shift + r * y_stride() + o)]; }

  void Run(LinearProducts& products) {
    const LinearShape shape = Shape();
    y.assign(static_cast<size_t>(rows * y_stride()), kUntouched);
    dx.assign(static_cast<size_t>(rows * x_stride()), kUntouched);
    for (int r = 0; accumulate && r < rows; ++r) {
      for (int i = 0; i < k; ++i) dx[static_cast<size_t>(r * x_stride() + i)] = 0.5f;
    }
    dw.assign(static_cast<size_t>(n * k), -0.25f);
    db.assign(static_cast<size_t>(n), 0.75f);
    products.Forward(shape, x.data() + shift, x_stride(), w.data() + shift, has_bias ? bias.data() : nullptr,
                     multiplier, y.data(), y_stride());
    products.BackwardInput(shape, dy.data() + shift, y_stride(), w.data() + shift, multiplier, accumulate, dx.data(),
                           x_stride());
    products.BackwardWeight(shape, dy.data() + shift, y_stride(), x.data() + shift, x_stride(), multiplier, dw.data(),
                            has_bias ? db.data() : nullptr);
  }
};

inline ::testing::AssertionResult SameResults(const LinearCase& a, const LinearCase& b) {
  if (auto same = SameBits(a.y, b.y); !same) return same << " of y";
  if (auto same = SameBits(a.dx, b.dx); !same) return same << " of dx";
  if (auto same = SameBits(a.dw, b.dw); !same) return same << " of dw";
  return SameBits(a.db, b.db) << " of db";
}

inline LinearCase RandomCase(Random& random, Precision precision, int max_depth = 300) {
  LinearCase c;
  // One is long, so that its sums pass several blocks.
  const int longest = random.Int(0, 2);
  c.rows = random.Int(1, longest == 0 ? max_depth : 40);
  c.n = random.Int(1, longest == 1 ? max_depth : 70);
  c.k = random.Int(1, longest == 2 ? max_depth : 70);
  c.gap = random.Int(0, 20);
  c.shift = random.Int(0, 7);
  c.precision = precision;
  c.multiplier = random.Int(0, 2) == 0 ? 0.37f : 1.0f;
  c.has_bias = random.Int(0, 1) == 0;
  c.accumulate = random.Int(0, 1) == 0;
  return c;
}

inline float Rounded(Precision precision, float value) {
  return precision == Precision::kBf16 ? Bf16ToFloat(FloatToBf16(value)) : value;
}

// One element of a product both ways: in one f32 accumulator by fused multiply-adds in order, and in f64 with the bound
// of what f32 may err. Every step of any order of sums has a relative error of at most u = 2⁻²⁴, and no term passes
// more than `count` + 5 of them: γ = (count + 5) u / (1 − (count + 5) u) times Σ|a b| and what is added (N. J. Higham,
// Accuracy and Stability of Numerical Algorithms, 2nd edition, section 3.1).
struct Expected {
  float chain;
  double exact, bound;
};
template <typename A, typename B>
inline Expected Sum(int count, float begin, float multiplier, float bias, const A& a, const B& b) {
  Expected e{begin, begin, std::abs(begin)};
  for (int i = 0; i < count; ++i) {
    const double product = static_cast<double>(a(i)) * b(i);
    e.chain = std::fma(a(i), b(i), e.chain);
    e.exact += product;
    e.bound += std::abs(product);
  }
  if (multiplier != 1.0f) e.chain *= multiplier;
  e.chain += bias;
  e.exact = e.exact * multiplier + bias;
  const double error = (count + 5) * 0x1p-24;
  e.bound = (e.bound * std::abs(multiplier) + std::abs(bias)) * error / (1 - error);
  return e;
}

inline Expected ExpectedY(const LinearCase& c, int r, int o) {
  return Sum(
      c.k, 0.0f, c.multiplier, c.has_bias ? c.bias[static_cast<size_t>(o)] : 0.0f,
      [&](int i) { return Rounded(c.precision, c.X(r, i)); }, [&](int i) { return Rounded(c.precision, c.W(o, i)); });
}
inline Expected ExpectedDx(const LinearCase& c, int r, int i) {
  return Sum(
      c.n, c.accumulate ? 0.5f : 0.0f, 1.0f, 0.0f,
      [&](int o) { return Rounded(c.precision, c.multiplier * c.Dy(r, o)); },
      [&](int o) { return Rounded(c.precision, c.W(o, i)); });
}
inline Expected ExpectedDw(const LinearCase& c, int o, int i) {
  return Sum(
      c.Keeps(o, i) ? c.rows : 0, -0.25f, 1.0f, 0.0f,
      [&](int r) { return Rounded(c.precision, c.multiplier * c.Dy(r, o)); },
      [&](int r) { return Rounded(c.precision, c.X(r, i)); });
}

// Calls check(actual, expected) for every element of the results, or for about `sample` of each.
template <typename Check>
inline void ForEachElement(const LinearCase& c, int sample, const Check& check) {
  Random random(99);
  const auto visit = [&](int rows, int columns, const std::vector<float>& results, int64_t stride,
                         const auto& expected) {
    const bool all = rows * columns <= sample;
    for (int e = 0; e < (all ? rows * columns : sample); ++e) {
      const int row = all ? e / columns : random.Int(0, rows - 1);
      const int column = all ? e % columns : random.Int(0, columns - 1);
      check(results[static_cast<size_t>(row * stride + column)], expected(c, row, column));
    }
  };
  visit(c.rows, c.n, c.y, c.y_stride(), ExpectedY);
  visit(c.rows, c.k, c.dx, c.x_stride(), ExpectedDx);
  visit(c.n, c.k, c.dw, c.k, ExpectedDw);
}

}  // namespace lodestone::kernels
