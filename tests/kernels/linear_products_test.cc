// The three products of a linear layer in training, on every instruction set that runs here and on plain_gemm_tables.h.
#include "kernels/linear_products.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "cases.h"
#include "kernels/gemm/gemm.h"
#include "linear_products_case.h"
#include "plain_gemm_tables.h"

namespace lodestone::kernels {
namespace {

struct Kind {
  const char* name;
  const GemmTable* table;  // null: one of the dispatcher's
  bool bf16_on_tiles;
};
constexpr Kind kKinds[] = {{"reference", nullptr, false}, {"avx2", nullptr, false},
                           {"avx512", nullptr, false},    {"amx", nullptr, true},
                           {"wide", &kWideGemm, false},   {"emulated", &kEmulatedGemm, true}};

class LinearProductsProperty : public ::testing::TestWithParam<size_t> {
 protected:
  void SetUp() override {
    if (kind().table != nullptr) return;
    const auto table = Select(kind().name);
    if (!table.ok()) GTEST_SKIP() << table.error().message;
  }
  static const Kind& kind() { return kKinds[GetParam()]; }

  static std::unique_ptr<LinearProducts> On(ThreadPool& pool) {
    if (kind().table != nullptr) return MakeLinearProducts(pool, *kind().table);
    auto products = LinearProducts::Make(pool, kind().name);
    EXPECT_TRUE(products.ok());
    return products.ok() ? *std::move(products) : nullptr;
  }
  static bool Chained(Precision precision) { return precision == Precision::kF32 || !kind().bf16_on_tiles; }

  // The bits of the sum in order, where no tiles reorder it, and the bound of f64.
  static void Check(const LinearCase& c, int sample = 3000) {
    WorstError worst;
    size_t at = 0, wrong = 0;
    std::string line;
    ForEachElement(c, sample, [&](float actual, const Expected& e) {
      worst.Check(at++, actual, e.exact, e.bound);
      if (Chained(c.precision) && actual != e.chain && wrong++ == 0) {
        line = fmt::format("element {}: actual {:a}, expected {:a}", at - 1, actual, e.chain);
      }
    });
    ASSERT_TRUE(worst.ok()) << c.Name() << ": " << worst.line();
    ASSERT_EQ(wrong, 0u) << c.Name() << ": " << line;
  }
};
INSTANTIATE_TEST_SUITE_P(On, LinearProductsProperty, ::testing::Range(size_t{0}, std::size(kKinds)),
                         [](const auto& parameter) { return std::string(kKinds[parameter.param].name); });

constexpr Precision kPrecisions[] = {Precision::kF32, Precision::kBf16};

TEST_P(LinearProductsProperty, SumInOrderWithinTheRoundingBound) {
  Random random(1);
  ThreadPool pool(1);
  const auto products = On(pool);
  for (const Precision precision : kPrecisions) {
    for (int round = 0; round < 20; ++round) {
      LinearCase c = RandomCase(random, precision);
      c.Build(random);
      c.Run(*products);
      Check(c, 300);
    }
  }
}

// Shapes below one tile and just above it, in every direction.
TEST_P(LinearProductsProperty, EveryTailIsComputedAndNothingElseIsWritten) {
  Random random(2);
  ThreadPool pool(1);
  const auto products = On(pool);
  for (const Precision precision : kPrecisions) {
    for (int size = 1; size <= 36; ++size) {
      LinearCase c = RandomCase(random, precision, 40);
      (size % 3 == 0 ? c.rows : (size % 3 == 1 ? c.n : c.k)) = size;
      c.gap = 20;
      c.Build(random);
      c.Run(*products);
      Check(c, 200);
      for (int r = 0; r < c.rows; ++r) {
        for (int i = 0; i < c.gap; ++i) {
          ASSERT_EQ(c.y[static_cast<size_t>(r * c.y_stride() + c.n + i)], kUntouched) << c.Name();
          ASSERT_EQ(c.dx[static_cast<size_t>(r * c.x_stride() + c.k + i)], kUntouched) << c.Name();
        }
      }
    }
  }
}

// More of everything than the blocks of the instruction sets hold.
TEST_P(LinearProductsProperty, MatricesLargerThanTheBlocks) {
  if (std::strcmp(kind().name, "reference") == 0) GTEST_SKIP() << "takes seconds; others cover the same blocking";
  Random random(3);
  ThreadPool pool(2);
  const auto products = On(pool);
  const bool small_blocks = kind().table != nullptr;
  for (const Precision precision : kPrecisions) {
    LinearCase c;
    c.rows = small_blocks ? 120 : 250;
    c.n = small_blocks ? 170 : 3140;
    c.k = small_blocks ? 201 : 300;
    c.precision = precision;
    c.Build(random);
    c.Run(*products);
    Check(c, 300);
  }
}

TEST_P(LinearProductsProperty, AnyNumberOfThreadsGivesTheSameBits) {
  Random random(4);
  for (const Precision precision : kPrecisions) {
    for (int round = 0; round < 6; ++round) {
      LinearCase c = RandomCase(random, precision);
      c.Build(random);
      if (round % 2 == 0) c.Drop(random, 32, 32, 60);
      ThreadPool one(1);
      c.Run(*On(one));
      for (const int threads : {2, 3, 7}) {
        LinearCase other = c;
        ThreadPool pool(threads);
        other.Run(*On(pool));
        ASSERT_TRUE(SameResults(other, c)) << c.Name() << ", threads " << threads;
      }
    }
  }
}

// Zeros in W give the bits that skipping them gives; a gradient is written where W is kept alone.
TEST_P(LinearProductsProperty, MaskedProductsEqualDenseProductsOfZeros) {
  Random random(5);
  ThreadPool pool(2);
  const auto products = On(pool);
  for (const Precision precision : kPrecisions) {
    for (const int percent : {0, 50, 90, 100}) {
      for (int round = 0; round < 4; ++round) {
        LinearCase c = RandomCase(random, precision);
        c.Build(random);
        c.Drop(random, 16 * random.Int(1, 5), 16 * random.Int(1, 5), percent);
        LinearCase dense = c;
        dense.mask.reset();
        dense.Run(*products);
        for (int o = 0; o < c.n; ++o) {
          for (int i = 0; i < c.k; ++i) {
            if (!c.Keeps(o, i)) dense.dw[static_cast<size_t>(o * c.k + i)] = -0.25f;
          }
        }
        c.Run(*products);
        ASSERT_TRUE(SameResults(c, dense)) << c.Name();
      }
    }
  }
}

// A NaN in what is dropped would reach every result that reads it.
TEST_P(LinearProductsProperty, DroppedBlocksAreNotRead) {
  Random random(6);
  ThreadPool pool(1);
  const auto products = On(pool);
  for (const Precision precision : kPrecisions) {
    const int step = Chained(precision) ? 16 : 32;
    for (int round = 0; round < 10; ++round) {
      LinearCase c = RandomCase(random, precision);
      c.Build(random);
      c.Drop(random, step * random.Int(1, 3), step * random.Int(1, 3), 60);
      c.Run(*products);
      LinearCase poisoned = c;
      poisoned.FillDropped(std::nanf(""));
      poisoned.Run(*products);
      ASSERT_TRUE(SameResults(poisoned, c)) << c.Name();
    }
  }
}

// Blocks kept where few others are: the densest part of a sparse matrix is what must fit the scratch.
TEST_P(LinearProductsProperty, UnevenMasks) {
  Random random(7);
  ThreadPool pool(1);
  const auto products = On(pool);
  for (const Precision precision : kPrecisions) {
    LinearCase c;
    c.rows = 20;
    c.n = kind().table != nullptr ? 200 : 300;
    c.k = kind().table != nullptr ? 300 : 1100;
    c.precision = precision;
    c.Build(random);
    c.Drop(random, 32, 32, 100);
    for (int row = 0; row < c.mask->rows; ++row) {
      for (int column = 0; column < c.mask->columns / 4; ++column)
        c.mask->kept[static_cast<size_t>(row * c.mask->columns + column)] = 1;
    }
    c.Run(*products);
    Check(c, 300);
  }
}

TEST_P(LinearProductsProperty, ARowAloneHasTheBitsThatItHasInABatch) {
  Random random(8);
  ThreadPool pool(1);
  const auto products = On(pool);
  for (const Precision precision : kPrecisions) {
    LinearCase c = RandomCase(random, precision);
    c.rows = 37;
    c.Build(random);
    c.Run(*products);
    for (int r = 0; r < c.rows; ++r) {
      LinearCase alone = c;
      alone.rows = 1;
      alone.x.assign(c.x.begin() + c.shift + r * c.x_stride(), c.x.begin() + c.shift + (r + 1) * c.x_stride());
      alone.dy.assign(c.dy.begin() + c.shift + r * c.y_stride(), c.dy.begin() + c.shift + (r + 1) * c.y_stride());
      alone.w.erase(alone.w.begin(), alone.w.begin() + c.shift);
      alone.shift = 0;
      alone.Run(*products);
      const auto row_of = [r](const std::vector<float>& all, int64_t stride) {
        return std::span(all).subspan(static_cast<size_t>(r * stride), static_cast<size_t>(stride));
      };
      ASSERT_TRUE(SameBits(alone.y, row_of(c.y, c.y_stride()))) << c.Name() << ", row " << r;
      ASSERT_TRUE(SameBits(alone.dx, row_of(c.dx, c.x_stride()))) << c.Name() << ", row " << r;
    }
  }
}

// Gradient accumulation: micro-batches, one after the other, of a multiple of 32 rows for tiles and of any elsewhere.
TEST_P(LinearProductsProperty, WeightGradientsOfMicroBatchesAreThoseOfTheBatch) {
  Random random(9);
  ThreadPool pool(1);
  const auto products = On(pool);
  for (const Precision precision : kPrecisions) {
    LinearCase c = RandomCase(random, precision);
    c.rows = 150;
    c.has_bias = true;
    c.Build(random);
    c.Run(*products);
    std::vector<float> dw(c.dw.size(), -0.25f), db(c.db.size(), 0.75f);
    LinearShape shape = c.Shape();
    for (int begin = 0; begin < c.rows; begin += static_cast<int>(shape.rows)) {
      shape.rows = std::min(c.rows - begin, Chained(precision) ? random.Int(1, 60) : 32 * random.Int(1, 2));
      products->BackwardWeight(shape, c.dy.data() + c.shift + begin * c.y_stride(), c.y_stride(),
                               c.x.data() + c.shift + begin * c.x_stride(), c.x_stride(), c.multiplier, dw.data(),
                               db.data());
    }
    ASSERT_TRUE(SameBits(dw, c.dw)) << c.Name();
    ASSERT_TRUE(SameBits(db, c.db)) << c.Name();
  }
}

TEST_P(LinearProductsProperty, BiasGradientsSumOverAscendingRows) {
  Random random(10);
  ThreadPool pool(3);
  LinearCase c = RandomCase(random, Precision::kBf16);
  c.n = 1100;
  c.has_bias = true;
  c.Build(random);
  c.Run(*On(pool));
  for (int o = 0; o < c.n; ++o) {
    float sum = 0.75f;
    for (int r = 0; r < c.rows; ++r) sum += c.multiplier * c.Dy(r, o);
    ASSERT_EQ(c.db[static_cast<size_t>(o)], sum) << c.Name() << ", output " << o;
  }
}

TEST_P(LinearProductsProperty, ANanStaysInItsRow) {
  Random random(11);
  ThreadPool pool(1);
  const auto products = On(pool);
  for (const Precision precision : kPrecisions) {
    LinearCase c = RandomCase(random, precision);
    c.rows = 50;
    c.Build(random);
    c.x[static_cast<size_t>(c.shift + 7 * c.x_stride())] = std::nanf("");
    c.Run(*products);
    for (int r = 0; r < c.rows; ++r) EXPECT_EQ(std::isnan(c.y[static_cast<size_t>(r * c.y_stride())]), r == 7);
  }
}

TEST_P(LinearProductsProperty, NoRowsChangeNothing) {
  ThreadPool pool(2);
  Random random(12);
  LinearCase c = RandomCase(random, Precision::kF32);
  c.Build(random);
  c.rows = 0;
  c.has_bias = true;
  c.Run(*On(pool));
  for (const float value : c.dw) ASSERT_EQ(value, -0.25f);
  for (const float value : c.db) ASSERT_EQ(value, 0.75f);
}

// The products that serve inference, over weights packed once.
TEST_P(LinearProductsProperty, ForwardHasTheBitsOfTheKernelTable) {
  if (kind().table != nullptr) GTEST_SKIP() << "has no kernel table";
  Random random(13);
  ThreadPool pool(2);
  const auto products = On(pool);
  for (const Product product : {Product::kF32, Product::kBf16}) {
    const Precision precision = product == Product::kF32 ? Precision::kF32 : Precision::kBf16;
    if (!Chained(precision)) continue;
    for (int round = 0; round < 10; ++round) {
      LinearCase c = RandomCase(random, precision);
      c.gap = c.shift = 0;
      c.Build(random);
      c.Run(*products);
      MatmulCase packed;
      packed.product = product;
      packed.rows = c.rows;
      packed.n = c.n;
      packed.k = c.k;
      packed.has_bias = c.has_bias;
      packed.multiplier = c.multiplier;
      packed.Build(random, [&](int o, int i) { return c.W(o, i); });
      packed.x_stride = c.k;
      packed.x_f32 = c.x;
      packed.x_bf16.assign(c.x.size(), 0);
      for (size_t i = 0; i < c.x.size(); ++i) packed.x_bf16[i] = FloatToBf16(c.x[i]);
      packed.bias = c.bias;
      ASSERT_TRUE(SameBits(c.y, packed.Run(**Select(kind().name)))) << c.Name();
    }
  }
}

TEST(LinearProducts, AmxAndItsEmulationHaveTheSameBits) {
  if (const auto amx = Select("amx"); !amx.ok()) GTEST_SKIP() << amx.error().message;
  Random random(14);
  ThreadPool pool(1);
  const auto amx = LinearProducts::Make(pool, "amx");
  ASSERT_TRUE(amx.ok());
  const auto emulated = MakeLinearProducts(pool, kEmulatedGemm);
  for (int round = 0; round < 20; ++round) {
    LinearCase c = RandomCase(random, Precision::kBf16);
    c.Build(random);
    c.Run(**amx);
    LinearCase other = c;
    other.Run(*emulated);
    ASSERT_TRUE(SameResults(c, other)) << c.Name();
  }
}

TEST(LinearProducts, SayWhichInstructionSetTheyUseAndRefuseUnknownOnes) {
  ThreadPool pool(1);
  const auto products = LinearProducts::Make(pool, "reference");
  ASSERT_TRUE(products.ok());
  EXPECT_EQ((*products)->isa(), "reference");
  const auto unknown = LinearProducts::Make(pool, "neon");
  ASSERT_FALSE(unknown.ok());
  EXPECT_NE(unknown.error().message.find("'neon'"), std::string::npos);
}

TEST(LinearProducts, TilesAreGivenBack) {
  Random random(15);
  ThreadPool pool(1);
  LinearCase c = RandomCase(random, Precision::kBf16);
  c.Build(random);
  c.Run(*MakeLinearProducts(pool, kEmulatedGemm));
  EXPECT_FALSE(emulated::registers.configured);
}

// Panels follow each other without gaps, none is empty or too wide, and none lies in two units.
TEST(PanelsProperty, CoverEveryUnit) {
  for (const bool even : {false, true}) {
    for (int64_t size = 1; size <= 70; ++size) {
      for (const int64_t unit : {int64_t{16}, int64_t{48}, size}) {
        for (const int64_t width : {3, 6, 14, 32}) {
          const Panels panels(size, unit, width, even);
          int64_t end = 0;
          for (int64_t p = 0; p < panels.count(); ++p) {
            const Range range = panels[p];
            ASSERT_EQ(range.begin, end);
            ASSERT_GT(range.size(), 0);
            ASSERT_LE(range.size(), width);
            ASSERT_EQ(range.begin / unit, panels.UnitOf(p));
            ASSERT_EQ((range.end - 1) / unit, panels.UnitOf(p));
            end = range.end;
          }
          ASSERT_EQ(end, size);
        }
      }
    }
  }
}

}  // namespace
}  // namespace lodestone::kernels
