// The exponential by itself, in the reference's lanes; row_ops_test.cc shows that the other instruction sets give the
// same bits.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "kernels/kernel_table.h"

namespace lodestone::kernels {
namespace {

#include "kernels/reference/lanes.inc"
//
#include "kernels/rows/vectors.inc"
//
#include "kernels/rows/exp.inc"

float ExpOf(float x) { return Exp(Splat(x)).v[0]; }

// Distance in units of the result's last place, the result being normal.
double UlpError(float actual, double expected) {
  const int exponent = std::ilogb(expected);
  return std::abs(actual - expected) / std::ldexp(1.0, exponent - 23);
}

TEST(ExpProperty, IsWithinTwoUlpOverItsRange) {
  double worst = 0;
  float worst_x = 0;
  // Steps that are no multiple of a power of two reach all mantissas and both signs of r.
  for (double x = -87.33; x <= 88.37; x += 0.000173) {
    const float at = static_cast<float>(x);
    const double error = UlpError(ExpOf(at), std::exp(static_cast<double>(at)));
    if (error > worst) {
      worst = error;
      worst_x = at;
    }
  }
  EXPECT_LE(worst, 2.0) << "at " << worst_x;
}

TEST(ExpProperty, TinyArgumentsGiveOne) {
  for (float x = 1e-9f; x < 1e-8f; x += 1e-9f) {
    EXPECT_EQ(ExpOf(x), 1.0f);
    EXPECT_EQ(ExpOf(-x), 1.0f);
  }
  EXPECT_EQ(ExpOf(0.0f), 1.0f);
}

TEST(Exp, LeavesItsRangeAsStated) {
  const float infinity = std::numeric_limits<float>::infinity();
  EXPECT_EQ(ExpOf(-infinity), 0.0f);
  EXPECT_EQ(ExpOf(-87.34f), 0.0f);
  EXPECT_EQ(ExpOf(-1e30f), 0.0f);
  EXPECT_EQ(ExpOf(88.38f), infinity);
  EXPECT_EQ(ExpOf(infinity), infinity);
  EXPECT_TRUE(std::isnan(ExpOf(std::nanf(""))));
}

}  // namespace
}  // namespace lodestone::kernels
