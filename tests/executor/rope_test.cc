#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

#include "executor/rope_table.h"

namespace lodestone {
namespace {

TEST(Rope, FrequenciesFallGeometrically) {
  Rope rope;
  rope.rotary_dim = 8;
  rope.theta = 10000;
  const auto f = RotaryFrequencies(rope);
  ASSERT_EQ(f.size(), 4u);
  EXPECT_DOUBLE_EQ(f[0], 1);
  EXPECT_DOUBLE_EQ(f[1], 0.1);
  EXPECT_DOUBLE_EQ(f[3], 0.001);
}

TEST(Rope, LinearScalingStretchesEveryWavelength) {
  Rope rope;
  rope.rotary_dim = 4;
  rope.linear_factor = 4;
  EXPECT_DOUBLE_EQ(RotaryFrequencies(rope)[0], 0.25);
}

// Llama 3.1: factor 8, low 1, high 4, original 8192. Wavelength 2π/f below 8192/4 is kept, above 8192/1 divided by 8.
TEST(Rope, Llama3ScalingKeepsShortAndStretchesLongWavelengths) {
  Rope rope;
  rope.theta = 500000;
  rope.rotary_dim = 128;
  Rope scaled = rope;
  scaled.llama3_factor = 8;
  scaled.low_freq_factor = 1;
  scaled.high_freq_factor = 4;
  scaled.original_positions = 8192;
  const auto plain = RotaryFrequencies(rope), got = RotaryFrequencies(scaled);
  int blended = 0;
  for (size_t i = 0; i < plain.size(); ++i) {
    const double wavelength = 2 * std::numbers::pi / plain[i];
    if (wavelength < 8192.0 / 4) {
      EXPECT_DOUBLE_EQ(got[i], plain[i]);
    } else if (wavelength > 8192) {
      EXPECT_DOUBLE_EQ(got[i], plain[i] / 8);
    } else {
      const double smooth = (8192 / wavelength - 1) / 3;
      EXPECT_NEAR(got[i], (1 - smooth) * plain[i] / 8 + smooth * plain[i], 1e-12 * plain[i]);
      ++blended;
    }
  }
  EXPECT_GT(blended, 0);
}

TEST(Rope, TableGrowsAndKeepsWhatItHas) {
  Rope rope;
  rope.rotary_dim = 4;
  RopeTable table(rope);
  table.Extend(3);
  const float before = table.At(2)[0];
  table.Extend(100);
  EXPECT_EQ(table.At(2)[0], before);
  EXPECT_FLOAT_EQ(table.At(99)[0], static_cast<float>(std::cos(99.0)));
  EXPECT_FLOAT_EQ(table.At(99)[2], static_cast<float>(std::sin(99.0)));
}

}  // namespace
}  // namespace lodestone
