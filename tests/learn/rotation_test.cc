#include "learn/rotation.h"

#include <gtest/gtest.h>

#include <cmath>

namespace lodestone::testing {
namespace {

// R [n][n]: row i is what becomes of the unit vector i.
std::vector<double> MatrixOf(const Rotation& rotation) {
  const int n = rotation.size();
  std::vector<double> columns(static_cast<size_t>(n) * n, 0.0), rows(columns.size());
  for (int i = 0; i < n; ++i) columns[static_cast<size_t>(i) * n + i] = 1;
  rotation.Apply(columns, n);  // column i became e_i R
  for (int i = 0; i < n; ++i) {
    for (int j = 0; j < n; ++j) rows[static_cast<size_t>(i) * n + j] = columns[static_cast<size_t>(j) * n + i];
  }
  return rows;
}

TEST(RotationProperty, IsOrthogonalForEverySize) {
  for (const int n : {1, 2, 3, 7, 16, 40, 48, 80, 128}) {
    const auto rotation = Rotation::Make(n, 5);
    ASSERT_TRUE(rotation.ok());
    const std::vector<double> r = MatrixOf(*rotation);
    for (int a = 0; a < n; ++a) {
      for (int b = 0; b < n; ++b) {
        double dot = 0;
        for (int i = 0; i < n; ++i) dot += r[static_cast<size_t>(a) * n + i] * r[static_cast<size_t>(b) * n + i];
        // n products of values at most 1, and n log n additions before them, each rounded to 2⁻⁵³.
        EXPECT_NEAR(dot, a == b ? 1 : 0, n * 0x1p-48) << n << ": rows " << a << ", " << b;
      }
    }
  }
}

TEST(Rotation, SpreadsOneValueEvenlyOverAPowerOfTwo) {
  std::vector<float> x(64, 0.0f);
  x[11] = 8;
  Rotation::Make(64, 1)->Apply(x);
  for (const float value : x) EXPECT_EQ(std::abs(value), 1.0f);  // 8 / √64
}

TEST(Rotation, IsItsSeed) {
  std::vector<float> a(48, 1.0f), b = a, c = a;
  Rotation::Make(48, 1)->Apply(a);
  Rotation::Make(48, 1)->Apply(b);
  Rotation::Make(48, 2)->Apply(c);
  EXPECT_EQ(a, b);
  EXPECT_NE(a, c);
}

TEST(Rotation, ColumnsTurnAsVectorsDo) {
  constexpr int kColumns = 5;
  const Rotation rotation = *Rotation::Make(24, 3);
  std::vector<double> strip(24 * kColumns);
  for (size_t i = 0; i < strip.size(); ++i) strip[i] = std::sin(static_cast<double>(i));
  const std::vector<double> before = strip;
  rotation.Apply(strip, kColumns);
  for (size_t c = 0; c < kColumns; ++c) {
    std::vector<double> column(24);
    for (size_t i = 0; i < 24; ++i) column[i] = before[i * kColumns + c];
    rotation.Apply(column, 1);
    for (size_t i = 0; i < 24; ++i) EXPECT_EQ(strip[i * kColumns + c], column[i]);
  }
}

TEST(Rotation, RefusesALargeOddFactor) {
  const auto rotation = Rotation::Make(2 * 1031, 1);
  ASSERT_FALSE(rotation.ok());
  EXPECT_EQ(rotation.error().code, ErrorCode::kUnsupported);
  EXPECT_NE(rotation.error().message.find("1031"), std::string::npos);
}

}  // namespace
}  // namespace lodestone::testing
