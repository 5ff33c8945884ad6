#include "cases.h"

namespace lodestone::kernels {
namespace {

// Σ weight × x and Σ |weight × x| of one output, in double, from the unpacked weights.
struct Exact {
  double value = 0, magnitude = 0;
};
Exact ExactOf(const MatmulCase& c, int r, int o) {
  Exact sum;
  const bool integer_weights = IsInteger(c.matrix.format.code);
  for (int i = 0; i < c.k; ++i) {
    const size_t at = static_cast<size_t>(c.shift + r * c.x_stride + i);
    double x = 0;
    switch (c.product) {
      case Product::kF32:
        x = c.x_f32[at];
        break;
      case Product::kBf16:
      case Product::kBf16Int4:
      case Product::kBf16Int8:
        x = Bf16ToFloat(c.x_bf16[at]);
        break;
      case Product::kInt8Int4:
      case Product::kInt8Int8:
        x = c.x_int8[at];
        break;
    }
    const double w =
        integer_weights ? double{static_cast<float>(UnpackedCode(c.matrix, o, i))} : UnpackedValue(c.matrix, o, i);
    sum.value += w * x;
    sum.magnitude += std::abs(w * x);
  }
  double scale = integer_weights ? c.Args().w_scales[o] : 1.0;
  if (IntegerRows(c.product)) scale *= c.x_scales[static_cast<size_t>(r)];
  scale *= c.multiplier;
  sum.value = sum.value * scale + (c.has_bias ? c.bias[static_cast<size_t>(o)] : 0.0f);
  sum.magnitude = sum.magnitude * std::abs(scale) + (c.has_bias ? std::abs(c.bias[static_cast<size_t>(o)]) : 0.0f);
  return sum;
}

MatmulCase RandomCase(Product product, Random& random) {
  MatmulCase c;
  c.product = product;
  c.rows = random.Int(1, 9);
  c.n = random.Int(1, 100);
  c.k = random.Int(1, 300);
  c.shift = random.Int(0, 7);
  c.has_bias = random.Int(0, 1) == 1;
  c.multiplier = random.Int(0, 1) == 1 ? 1.0f : 0.125f * static_cast<float>(random.Int(1, 9));
  const int groups[] = {0, 32, 64, 128};
  if (TakesGroups(product)) c.group = groups[random.Int(0, 3)];
  c.Build(random);
  return c;
}

// Forward error of k fused multiply-adds and of the at most five operations after: (k + 5) ε/2 each relative to Σ|wx|
// (N. J. Higham, Accuracy and Stability of Numerical Algorithms, 2nd edition, section 3.1). Integer sums err only
// after.
TEST(MatmulReferenceProperty, IsWithinTheRoundingBoundOfADoubleSum) {
  Random random(1);
  for (const Product product : kProducts) {
    for (int round = 0; round < 40; ++round) {
      const MatmulCase c = RandomCase(product, random);
      const std::vector<float> y = c.Run(Reference());
      WorstError worst;
      const double steps = (IntegerRows(product) ? 0 : c.k) + 5;
      for (int r = 0; r < c.rows; ++r) {
        for (int o = 0; o < c.n; ++o) {
          const Exact exact = ExactOf(c, r, o);
          const double unit = steps * 0x1p-24;
          const size_t at = static_cast<size_t>(r * c.n + o);
          worst.Check(at, y[at], exact.value, unit / (1 - unit) * exact.magnitude);
        }
      }
      ASSERT_TRUE(worst.ok()) << c.Name() << ": " << worst.line();
    }
  }
}

class MatmulProperty : public EachIsa {};
INSTANTIATE_TEST_SUITE_P(Isa, MatmulProperty, AllIsas(), IsaName);

TEST_P(MatmulProperty, EqualsTheReferenceBitForBit) {
  Random random(2);
  for (const Product product : kProducts) {
    for (int round = 0; round < 60; ++round) {
      const MatmulCase c = RandomCase(product, random);
      ASSERT_TRUE(SameBits(c.Run(table(), 3), c.Run(Reference(), 3))) << c.Name();
    }
  }
}

TEST_P(MatmulProperty, EveryOutputTailEqualsTheReferenceAndNothingElseIsWritten) {
  Random random(3);
  for (const Product product : kProducts) {
    for (int n = 1; n <= 33; ++n) {
      MatmulCase c;
      c.product = product;
      c.n = n;
      c.k = random.Int(1, 70);
      c.rows = random.Int(1, 9);
      c.has_bias = true;
      c.Build(random);
      constexpr int kGap = 20;  // more than a panel
      const std::vector<float> y = c.Run(table(), kGap);
      ASSERT_TRUE(SameBits(y, c.Run(Reference(), kGap))) << c.Name();
      for (int r = 0; r < c.rows; ++r) {
        for (int i = 0; i < kGap; ++i)
          ASSERT_EQ(y[static_cast<size_t>(r * (n + kGap) + n + i)], kUntouched) << c.Name();
      }
    }
  }
}

TEST_P(MatmulProperty, EveryInputTailEqualsTheReference) {
  Random random(4);
  for (const Product product : kProducts) {
    for (int k = 1; k <= 140; ++k) {
      MatmulCase c;
      c.product = product;
      c.n = 17;
      c.k = k;
      c.rows = 1 + k % 9;
      if (TakesGroups(product)) c.group = k % 4 == 0 ? 0 : 16 << (k % 4);
      c.Build(random);
      ASSERT_TRUE(SameBits(c.Run(table()), c.Run(Reference()))) << c.Name();
    }
  }
}

// Blocks of rows and of panels of every size, over more inputs than stay in a first-level cache at once.
TEST_P(MatmulProperty, EveryRowCountEqualsTheReference) {
  Random random(12);
  for (const Product product : kProducts) {
    for (int rows = 1; rows <= 26; ++rows) {
      MatmulCase c;
      c.product = product;
      c.n = 16 * random.Int(1, 9) - random.Int(0, 15);
      c.k = rows % 8 == 0 ? 1100 : random.Int(1, 200);
      c.rows = rows;
      if (TakesGroups(product) && rows % 4 != 1) c.group = 32 << (rows % 4 == 0 ? 0 : rows % 4 - 1);
      c.Build(random);
      ASSERT_TRUE(SameBits(c.Run(table()), c.Run(Reference()))) << c.Name();
    }
  }
}

TEST_P(MatmulProperty, ManyGroupsOfLongInputs) {
  Random random(5);
  for (const int group : {32, 64, 128}) {
    MatmulCase c;
    c.product = Product::kInt8Int4;
    c.n = 20;
    c.k = 13000 + 64 * group / 32 + 1;
    c.rows = 21;  // more than the rows whose group sums fit one chunk
    c.group = group;
    c.Build(random);
    ASSERT_TRUE(SameBits(c.Run(table()), c.Run(Reference()))) << c.Name();
  }
}

TEST_P(MatmulProperty, LargestCodesSumExactly) {
  Random random(6);
  for (const Product product : {Product::kInt8Int4, Product::kInt8Int8}) {
    for (const int sign : {1, -1}) {
      for (const int group : {0, 32}) {
        if (group != 0 && !TakesGroups(product)) continue;
        MatmulCase c;
        c.product = product;
        c.n = 16;
        c.k = 4096;
        c.rows = 3;
        c.group = group;
        c.Build(random, [](int, int) { return 1.0f; });
        for (int r = 0; r < c.rows; ++r) {
          for (int i = 0; i < c.k; ++i)
            c.x_int8[static_cast<size_t>(r * c.x_stride + i)] = static_cast<int8_t>(127 * sign);
        }
        const std::vector<float> y = c.Run(table());
        const int code = UnpackedCode(c.matrix, 0, 0);
        EXPECT_EQ(code, product == Product::kInt8Int8 ? 127 : (group != 0 ? 126 : 7));
        const float sum = static_cast<float>(sign * 127 * code * c.k);
        for (int r = 0; r < c.rows; ++r) {
          EXPECT_EQ(y[static_cast<size_t>(r * c.n)], sum * (c.x_scales[static_cast<size_t>(r)] * c.Args().w_scales[0]));
        }
      }
    }
  }
}

TEST_P(MatmulProperty, LongestInputsStayInInt32) {
  Random random(7);
  MatmulCase c;
  c.product = Product::kInt8Int8;
  c.n = 1;
  c.k = kMaxK;
  c.Build(random, [](int, int) { return 1.0f; });
  for (int i = 0; i < c.k; ++i) c.x_int8[static_cast<size_t>(i)] = 127;
  c.x_scales[0] = 1;
  const float expected = static_cast<float>(127 * 127 * kMaxK) * c.Args().w_scales[0];
  EXPECT_EQ(c.Run(table())[0], expected);
}

TEST_P(MatmulProperty, PanelRangesGiveTheBitsOfTheWhole) {
  Random random(8);
  for (const Product product : kProducts) {
    for (int round = 0; round < 10; ++round) {
      const MatmulCase c = RandomCase(product, random);
      std::vector<float> y(static_cast<size_t>(c.rows * c.n), kUntouched);
      MatmulArgs a = c.Args();
      a.y = y.data();
      for (int begin = 0; begin < c.matrix.panels();) {
        a.panel_begin = begin;
        a.panel_end = std::min(c.matrix.panels(), begin + random.Int(1, 3));
        FunctionOf(table(), product)(a);
        begin = a.panel_end;
      }
      ASSERT_TRUE(SameBits(y, c.Run(table()))) << c.Name();
    }
  }
}

TEST_P(MatmulProperty, ARowAloneHasTheBitsThatItHasInABatch) {
  Random random(9);
  for (const Product product : kProducts) {
    for (int round = 0; round < 10; ++round) {
      const MatmulCase c = RandomCase(product, random);
      const std::vector<float> batch = c.Run(table());
      for (int r = 0; r < c.rows; ++r) {
        std::vector<float> alone(static_cast<size_t>(c.n));
        MatmulArgs a = c.Args();
        const int bytes = product == Product::kF32 ? 4 : (IntegerRows(product) ? 1 : 2);
        a.x = static_cast<const std::byte*>(a.x) + r * c.x_stride * bytes;
        if (a.x_scales != nullptr) a.x_scales += r;
        a.rows = 1;
        a.y = alone.data();
        FunctionOf(table(), product)(a);
        ASSERT_TRUE(SameBits(alone, std::span(batch).subspan(static_cast<size_t>(r * c.n), static_cast<size_t>(c.n))))
            << c.Name();
      }
    }
  }
}

TEST_P(MatmulProperty, AZeroRowGivesTheBiasAndNanStaysNan) {
  Random random(10);
  for (const Product product : kProducts) {
    MatmulCase c;
    c.product = product;
    c.n = 19;
    c.k = 67;
    c.rows = 2;
    c.has_bias = true;
    c.Build(random);
    std::fill(c.x_f32.begin(), c.x_f32.end(), 0.0f);
    std::fill(c.x_bf16.begin(), c.x_bf16.end(), uint16_t{0});
    std::fill(c.x_int8.begin(), c.x_int8.end(), int8_t{0});
    std::vector<float> y = c.Run(table());
    for (int o = 0; o < c.n; ++o) EXPECT_EQ(y[static_cast<size_t>(o)], c.bias[static_cast<size_t>(o)]) << c.Name();
    c.x_f32[5] = std::nanf("");
    c.x_bf16[5] = 0x7fc0;
    c.x_scales[0] = std::nanf("");
    y = c.Run(table());
    EXPECT_TRUE(std::isnan(y[0])) << c.Name();
    EXPECT_FALSE(std::isnan(y[static_cast<size_t>(c.n)])) << c.Name();
  }
}

TEST_P(MatmulProperty, OneStaticScaleServesAllRows) {
  Random random(11);
  MatmulCase c;
  c.product = Product::kInt8Int4;
  c.n = 33;
  c.k = 65;
  c.rows = 9;
  c.Build(random);
  std::fill(c.x_scales.begin(), c.x_scales.end(), 0.25f);
  MatmulArgs a = c.Args();
  std::vector<float> y(static_cast<size_t>(c.rows * c.n));
  a.y = y.data();
  a.x_scales_stride = 0;
  table().matmul_int8_int4(a);
  EXPECT_TRUE(SameBits(y, c.Run(Reference())));
}

}  // namespace
}  // namespace lodestone::kernels
