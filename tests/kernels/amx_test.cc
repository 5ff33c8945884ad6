// The tile kernel, on emulated tiles everywhere and on AMX where it can run.
#include <gtest/gtest.h>

#include <cstring>

#include "cases.h"
#include "kernels/tables.h"

namespace lodestone::kernels {
namespace {

namespace emulated {

#include "kernels/reference/lanes.inc"
//
#include "kernels/rows/vectors.inc"
//
#include "kernels/matmul/blocks.inc"
//
#include "kernels/emulated_tiles.inc"
//
#include "kernels/amx/unpack.inc"
//
#include "kernels/amx/matmul.inc"

void MatmulInt8Int4(const MatmulArgs& a) {
  a.w_groups != nullptr ? MultiplyOnTiles<Int4Tiles<true>>(a) : MultiplyOnTiles<Int4Tiles<false>>(a);
}
void MatmulInt8Int8(const MatmulArgs& a) { MultiplyOnTiles<Int8Tiles>(a); }

}  // namespace emulated

// The reference with two matmuls on emulated tiles.
const KernelTable& EmulatedTable() {
  static const KernelTable table = [] {
    KernelTable t = Reference();
    t.isa = "emulated";
    t.matmul_int8_int4 = emulated::MatmulInt8Int4;
    t.matmul_int8_int8 = emulated::MatmulInt8Int8;
    return t;
  }();
  return table;
}

class TilesProperty : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    if (std::strcmp(GetParam(), "emulated") == 0) {
      table_ = &EmulatedTable();
      return;
    }
    const auto amx = Select(GetParam());
    if (!amx.ok()) GTEST_SKIP() << amx.error().message;
    table_ = *amx;
  }
  const KernelTable& table() const { return *table_; }

  void ExpectTheReference(MatmulCase& c, Random& random) {
    c.Build(random);
    ASSERT_TRUE(SameBits(c.Run(table(), 3), c.Run(Reference(), 3))) << c.Name();
  }

 private:
  const KernelTable* table_ = nullptr;
};
INSTANTIATE_TEST_SUITE_P(On, TilesProperty, ::testing::Values("emulated", "amx"),
                         [](const auto& parameter) { return std::string(parameter.param); });

constexpr Product kTileProducts[] = {Product::kInt8Int4, Product::kInt8Int8};

MatmulCase CaseOf(Product product, int rows, int n, int k, int group = 0) {
  MatmulCase c;
  c.product = product;
  c.rows = rows;
  c.n = n;
  c.k = k;
  c.group = TakesGroups(product) ? group : 0;
  return c;
}

TEST_P(TilesProperty, EveryNumberOfRowsEqualsTheReference) {
  Random random(1);
  for (const Product product : kTileProducts) {
    for (int rows = 1; rows <= 70; ++rows) {
      MatmulCase c = CaseOf(product, rows, 16 + rows % 40, 1 + 3 * rows, 32 << (rows % 3));
      c.has_bias = rows % 2 == 0;
      c.shift = rows % 8;
      c.multiplier = rows % 3 == 0 ? 0.25f : 1.0f;
      ExpectTheReference(c, random);
    }
  }
}

TEST_P(TilesProperty, InputsThatFillNoBlockEqualTheReference) {
  Random random(2);
  for (const Product product : kTileProducts) {
    for (const int k : {1, 63, 64, 65, 448, 511, 512, 513, 576, 1000, 1024, 1025, 1600}) {
      for (const int group : {0, 32, 64, 128}) {
        if (group != 0 && !TakesGroups(product)) continue;
        MatmulCase c = CaseOf(product, 20, 35, k, group);
        ExpectTheReference(c, random);
      }
    }
  }
}

// Panels of one, two and three blocks of eight pairs, the last pair whole or half.
TEST_P(TilesProperty, EveryNumberOfPanelsEqualsTheReference) {
  Random random(3);
  for (const Product product : kTileProducts) {
    for (const int n : {1, 16, 17, 33, 240, 241, 256, 257, 290, 513}) {
      for (const int rows : {7, 33, 40}) {
        MatmulCase c = CaseOf(product, rows, n, 520, 64);
        ExpectTheReference(c, random);
      }
    }
  }
}

TEST_P(TilesProperty, MoreRowsThanHaveSumsInScratch) {
  Random random(4);
  for (const Product product : kTileProducts) {
    for (const int rows : {512, 545}) {
      MatmulCase c = CaseOf(product, rows, 20, 520, 128);
      ExpectTheReference(c, random);
    }
  }
}

TEST_P(TilesProperty, PanelRangesGiveTheBitsOfTheWhole) {
  Random random(5);
  for (const Product product : kTileProducts) {
    for (const int rows : {6, 50}) {
      MatmulCase c = CaseOf(product, rows, 300, 530, 32);
      c.Build(random);
      std::vector<float> y(static_cast<size_t>(c.rows * c.n), kUntouched);
      MatmulArgs a = c.Args();
      a.y = y.data();
      for (int begin = 0; begin < c.matrix.panels(); begin = a.panel_end) {
        a.panel_begin = begin;
        a.panel_end = std::min(c.matrix.panels(), begin + random.Int(1, 5));
        FunctionOf(table(), product)(a);
      }
      ASSERT_TRUE(SameBits(y, c.Run(Reference()))) << c.Name();
    }
  }
}

// The largest products of codes and multipliers, in both signs and side by side.
TEST_P(TilesProperty, LargestCodesAndMultipliersSumExactly) {
  Random random(6);
  for (const int group : {0, 32}) {
    for (const Product product : kTileProducts) {
      MatmulCase c = CaseOf(product, 17, 18, 4096, group);
      c.Build(random, [](int o, int i) { return (i / 3 + o) % 2 == 0 ? 1.0f : -1.0f; });
      for (int r = 0; r < c.rows; ++r) {
        for (int i = 0; i < c.k; ++i) {
          c.x_int8[static_cast<size_t>(r * c.x_stride + i)] = static_cast<int8_t>((i / 3 + r) % 2 == 0 ? 127 : -127);
        }
      }
      const int code = product == Product::kInt8Int8 ? 127 : (c.group != 0 ? 126 : 7);
      EXPECT_EQ(std::abs(UnpackedCode(c.matrix, 0, 0)), code);
      const std::vector<float> y = c.Run(table());
      const float sum = static_cast<float>(127 * code * c.k);
      EXPECT_EQ(y[0], sum * (c.x_scales[0] * c.Args().w_scales[0]));
      EXPECT_EQ(y[1], -sum * (c.x_scales[0] * c.Args().w_scales[1]));
    }
  }
}

TEST_P(TilesProperty, LongestInputsStayInInt32) {
  Random random(7);
  MatmulCase c = CaseOf(Product::kInt8Int8, 5, 1, kMaxK);
  c.Build(random, [](int, int) { return 1.0f; });
  std::fill(c.x_int8.begin(), c.x_int8.end(), int8_t{127});
  const std::vector<float> y = c.Run(table());
  for (int r = 0; r < c.rows; ++r) {
    const float scale = c.x_scales[static_cast<size_t>(r)] * c.Args().w_scales[0];
    EXPECT_EQ(y[static_cast<size_t>(r)], static_cast<float>(127 * 127 * kMaxK) * scale);
  }
}

TEST_P(TilesProperty, ARowAloneHasTheBitsThatItHasInABatch) {
  Random random(8);
  for (const Product product : kTileProducts) {
    MatmulCase c = CaseOf(product, 37, 50, 600, 64);
    c.Build(random);
    const std::vector<float> batch = c.Run(table());
    for (int r = 0; r < c.rows; ++r) {
      std::vector<float> alone(static_cast<size_t>(c.n));
      MatmulArgs a = c.Args();
      a.x = static_cast<const int8_t*>(a.x) + r * c.x_stride;
      a.x_scales += r;
      a.rows = 1;
      a.y = alone.data();
      FunctionOf(table(), product)(a);
      ASSERT_TRUE(SameBits(alone, std::span(batch).subspan(static_cast<size_t>(r * c.n), static_cast<size_t>(c.n))))
          << c.Name();
    }
  }
}

TEST(Tiles, AreGivenBackAfterEachMatmul) {
  Random random(9);
  MatmulCase c = CaseOf(Product::kInt8Int4, 9, 40, 100);
  c.Build(random);
  c.Run(EmulatedTable());
  EXPECT_FALSE(emulated::registers.configured);
}

// One static scale serves all rows, and a NaN scale spoils its own row alone.
TEST_P(TilesProperty, ScalesOfRows) {
  Random random(10);
  for (const Product product : kTileProducts) {
    MatmulCase c = CaseOf(product, 19, 33, 65);
    c.Build(random);
    std::fill(c.x_scales.begin(), c.x_scales.end(), 0.25f);
    MatmulArgs a = c.Args();
    std::vector<float> y(static_cast<size_t>(c.rows * c.n));
    a.y = y.data();
    a.x_scales_stride = 0;
    FunctionOf(table(), product)(a);
    EXPECT_TRUE(SameBits(y, c.Run(Reference())));
    c.x_scales[2] = std::nanf("");
    y = c.Run(table());
    for (int r = 0; r < c.rows; ++r) EXPECT_EQ(std::isnan(y[static_cast<size_t>(r * c.n)]), r == 2);
  }
}

}  // namespace
}  // namespace lodestone::kernels
