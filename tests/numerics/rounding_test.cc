#include "numerics/rounding.h"

#include <gtest/gtest.h>

#include <limits>
#include <random>

namespace lodestone {
namespace {

TEST(RoundingProperty, EveryF16SurvivesTheWayThroughF32) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const float value = F16ToFloat(static_cast<uint16_t>(bits));
    const uint16_t back = FloatToF16(value);
    if (std::isnan(value)) {
      EXPECT_EQ(back & 0x7e00, 0x7e00) << bits;
    } else {
      EXPECT_EQ(back, bits);
    }
  }
}

// The value of f16 bits from the definition, in double.
double F16Value(int magnitude) {
  const int exponent = magnitude >> 10, mantissa = magnitude & 0x3ff;
  return exponent == 0 ? std::ldexp(mantissa, -24) : std::ldexp(1024 + mantissa, exponent - 25);
}

TEST(RoundingProperty, F16OfEveryMidpointGoesToTheEvenNeighbour) {
  for (int m = 0; m < 0x7bff; ++m) {
    const double low = F16Value(m), high = F16Value(m + 1);
    EXPECT_EQ(F16ToFloat(static_cast<uint16_t>(m)), low);
    const float middle = static_cast<float>((low + high) / 2);  // exact: f32 has 13 more bits
    EXPECT_EQ(FloatToF16(middle), m % 2 == 0 ? m : m + 1);
    EXPECT_EQ(FloatToF16(std::nextafter(middle, 0.0f)), m);
    EXPECT_EQ(FloatToF16(std::nextafter(middle, 1e9f)), m + 1);
    EXPECT_EQ(FloatToF16(-middle), 0x8000 | (m % 2 == 0 ? m : m + 1));
  }
}

TEST(Rounding, F16Limits) {
  EXPECT_EQ(FloatToF16(65504.0f), 0x7bff);
  EXPECT_EQ(FloatToF16(65519.996f), 0x7bff);
  EXPECT_EQ(FloatToF16(65520.0f), 0x7c00);
  EXPECT_EQ(FloatToF16(std::numeric_limits<float>::infinity()), 0x7c00);
  EXPECT_EQ(FloatToF16(-1e30f), 0xfc00);
  EXPECT_EQ(FloatToF16(1e-30f), 0);
  EXPECT_EQ(FloatToF16(-0.0f), 0x8000);
  EXPECT_TRUE(std::isnan(F16ToFloat(FloatToF16(std::nanf("")))));
}

TEST(RoundingProperty, Bf16IsTheNearestOfBothNeighbours) {
  std::mt19937 random(1);
  for (int i = 0; i < 100000; ++i) {
    const float x = std::bit_cast<float>(static_cast<uint32_t>(random()) & 0xff7fffffu);  // finite
    const uint32_t down = std::bit_cast<uint32_t>(x) & 0xffff0000u;
    const double low = std::bit_cast<float>(down);
    const double high =
        (down >> 16 & 0x7fff) == 0x7f7f ? std::copysign(0x1p128, x) : double{std::bit_cast<float>(down + 0x10000u)};
    const double to_low = std::abs(x - low), to_high = std::abs(high - x);
    const uint32_t expected = to_low < to_high || (to_low == to_high && (down >> 16) % 2 == 0) ? down : down + 0x10000u;
    ASSERT_EQ(FloatToBf16(x), expected >> 16) << x;
  }
}

TEST(Rounding, Bf16KeepsNanInfinityAndZero) {
  EXPECT_TRUE(std::isnan(Bf16ToFloat(FloatToBf16(std::bit_cast<float>(0x7f800001u)))));
  EXPECT_EQ(FloatToBf16(std::numeric_limits<float>::infinity()), 0x7f80);
  EXPECT_EQ(FloatToBf16(-0.0f), 0x8000);
}

TEST(RoundingProperty, RoundToEvenIsTheDefaultRounding) {
  std::mt19937 random(2);
  for (int i = 0; i < 100000; ++i) {
    const float x = (static_cast<float>(random() % 8000001) - 4000000.0f) * 0.5f;
    ASSERT_EQ(RoundToEven(x), std::nearbyint(x));
    ASSERT_EQ(RoundToEven(x * 0.013f), std::nearbyint(x * 0.013f));
  }
}

TEST(Rounding, CodesClampAndTiesGoToEven) {
  EXPECT_EQ(QuantizeValue(0.5f, 1, 7), 0);
  EXPECT_EQ(QuantizeValue(1.5f, 1, 7), 2);
  EXPECT_EQ(QuantizeValue(-2.5f, 1, 7), -2);
  EXPECT_EQ(QuantizeValue(1e30f, 1, 127), 127);
  EXPECT_EQ(QuantizeValue(-1e30f, 1, 127), -127);
  EXPECT_EQ(QuantizeValue(std::nanf(""), 1, 127), -127);
}

}  // namespace
}  // namespace lodestone
