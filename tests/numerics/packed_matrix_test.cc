#include "numerics/packed_matrix.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

#include "numerics/rounding.h"

namespace lodestone {
namespace {

using Matrix = std::vector<std::vector<float>>;

Matrix RandomMatrix(std::mt19937& random, int n, int k) {
  std::normal_distribution<float> normal;
  Matrix w(static_cast<size_t>(n), std::vector<float>(static_cast<size_t>(k)));
  for (auto& row : w) {
    const float spread = std::exp(normal(random));
    for (size_t i = 0; i < row.size(); ++i) row[i] = normal(random) * spread * (i / 32 % 3 == 0 ? 8.0f : 1.0f);
  }
  return w;
}

Result<PackedMatrix> PackOf(const Format& format, const Matrix& w) {
  return Pack(format, static_cast<int>(w.size()), static_cast<int>(w[0].size()), [&](int o, std::span<float> row) {
    std::copy(w[static_cast<size_t>(o)].begin(), w[static_cast<size_t>(o)].end(), row.begin());
    return Status();
  });
}

float ScaleOf(const PackedMatrix& m, int o) { return reinterpret_cast<const float*>(m.scales.data())[o]; }

const Format kInt8 = {Code::kInt8, Scales::kChannel};
const Format kInt4 = {Code::kInt4, Scales::kChannel};
Format Grouped(int group) { return {Code::kInt4, Scales::kGroup, static_cast<uint16_t>(group)}; }

TEST(PackProperty, ChannelCodesErrByHalfAScale) {
  std::mt19937 random(1);
  for (int round = 0; round < 60; ++round) {
    const Matrix w = RandomMatrix(random, static_cast<int>(random() % 40) + 1, static_cast<int>(random() % 200) + 1);
    for (const Format& format : {kInt8, kInt4}) {
      const auto m = PackOf(format, w);
      ASSERT_TRUE(m.ok());
      for (int o = 0; o < m->n; ++o) {
        const auto& row = w[static_cast<size_t>(o)];
        float largest = 0;
        for (const float value : row) largest = std::max(largest, std::abs(value));
        const int max_code = MaxCode(format.code);
        ASSERT_EQ(ScaleOf(*m, o), largest / static_cast<float>(max_code));
        for (int i = 0; i < m->k; ++i) {
          ASSERT_LE(std::abs(UnpackedCode(*m, o, i)), max_code);
          ASSERT_LE(std::abs(UnpackedValue(*m, o, i) - row[static_cast<size_t>(i)]), ScaleOf(*m, o) * 0.50002f);
        }
      }
    }
  }
}

TEST(PackProperty, GroupCodesErrByHalfAStepOrByWhatTheMultiplierLeaves) {
  std::mt19937 random(2);
  for (const int group : {32, 64, 128}) {
    for (int round = 0; round < 30; ++round) {
      const Matrix w = RandomMatrix(random, static_cast<int>(random() % 40) + 1, static_cast<int>(random() % 400) + 1);
      const auto m = PackOf(Grouped(group), w);
      ASSERT_TRUE(m.ok());
      const int groups = (m->padded_k() + group - 1) / group;
      ASSERT_EQ(m->multipliers.size(), static_cast<size_t>(m->panels() * groups * kPanel));
      for (int o = 0; o < m->n; ++o) {
        for (int i = 0; i < m->k; ++i) {
          const float value = w[static_cast<size_t>(o)][static_cast<size_t>(i)];
          const int at = ((o / kPanel) * groups + i / group) * kPanel + o % kPanel;
          const int multiplier = static_cast<int>(m->multipliers.data()[at]);
          ASSERT_GE(multiplier, 1);
          ASSERT_LE(multiplier, kMaxGroupMultiplier);
          ASSERT_LE(std::abs(UnpackedCode(*m, o, i)), 7 * multiplier);
          ASSERT_EQ(UnpackedCode(*m, o, i) % multiplier, 0);
          // The multiplier rounds, so the largest weight of a group may lie up to 7 × half a scale beyond code 7.
          const float step = static_cast<float>(multiplier) * ScaleOf(*m, o);
          const float clipped = std::max(0.0f, std::abs(value) - 7 * step);
          ASSERT_LE(clipped, 3.5001f * ScaleOf(*m, o));
          ASSERT_LE(std::abs(UnpackedValue(*m, o, i) - value), std::max(step * 0.50002f, clipped * 1.0001f));
        }
      }
    }
  }
}

TEST(PackProperty, FloatFormatsKeepTheirValues) {
  std::mt19937 random(3);
  for (int round = 0; round < 40; ++round) {
    const Matrix w = RandomMatrix(random, static_cast<int>(random() % 40) + 1, static_cast<int>(random() % 70) + 1);
    const auto f32 = PackOf({Code::kF32}, w), bf16 = PackOf({Code::kBf16}, w);
    ASSERT_TRUE(f32.ok() && bf16.ok());
    for (int o = 0; o < f32->n; ++o) {
      for (int i = 0; i < f32->k; ++i) {
        const float value = w[static_cast<size_t>(o)][static_cast<size_t>(i)];
        ASSERT_EQ(UnpackedValue(*f32, o, i), value);
        ASSERT_EQ(UnpackedValue(*bf16, o, i), Bf16ToFloat(FloatToBf16(value)));
      }
    }
  }
}

// The bytes of the header's layout table, spelled out for one weight.
TEST(Pack, LayoutIsTheOneThatKernelsRead) {
  Matrix w(18, std::vector<float>(70, 0.0f));
  w[17][0] = 127;  // the channel's scale is 1
  w[17][69] = -5;
  const auto int8 = PackOf(kInt8, w);
  ASSERT_TRUE(int8.ok());
  EXPECT_EQ(int8->padded_k(), 128);
  EXPECT_EQ(int8->panels(), 2);
  EXPECT_EQ(int8->panel_bytes(), 128 * 16);
  EXPECT_EQ(static_cast<int>(int8->codes.data()[128 * 16 + (69 / 4 * 16 + 1) * 4 + 1]), 123);
  w[17][0] = 7;
  w[17][69] = -5;
  const auto int4 = PackOf(kInt4, w);
  ASSERT_TRUE(int4.ok());
  // Input 69 = 8 × 8 + 5: byte 1 of its lane, high nibble, −5 + 8; its low nibble is input 65, zero + 8.
  EXPECT_EQ(static_cast<int>(int4->codes.data()[128 * 8 + (8 * 16 + 1) * 4 + 1]), (3 << 4) | 8);
  const auto f32 = PackOf({Code::kF32}, w);
  EXPECT_EQ(reinterpret_cast<const float*>(f32->codes.data())[(70 + 69) * 16 + 1], -5.0f);
  const auto bf16 = PackOf({Code::kBf16}, w);
  EXPECT_EQ(reinterpret_cast<const Bf16*>(bf16->codes.data())[((35 + 34) * 16 + 1) * 2 + 1], FloatToBf16(-5.0f));
}

TEST(Pack, PaddingIsZero) {
  const Matrix w(3, std::vector<float>(33, 1.0f));
  for (const Format& format : {kInt8, kInt4, Grouped(128)}) {
    const auto m = PackOf(format, w);
    ASSERT_TRUE(m.ok());
    for (int o = 0; o < kPanel; ++o) {
      for (int i = 0; i < m->padded_k(); ++i) {
        if (o < m->n && i < m->k) continue;
        EXPECT_EQ(UnpackedCode(*m, o, i), 0);
        EXPECT_EQ(UnpackedValue(*m, o, i), 0.0f);
      }
    }
    for (size_t i = 0; i < m->multipliers.size(); ++i) EXPECT_GE(static_cast<int>(m->multipliers.data()[i]), 1);
  }
}

TEST(Pack, AZeroOrVanishingChannelHasScaleZero) {
  Matrix w(2, std::vector<float>(40, 0.0f));
  w[1].assign(40, 1e-40f);
  for (const Format& format : {kInt8, kInt4, Grouped(32)}) {
    const auto m = PackOf(format, w);
    ASSERT_TRUE(m.ok());
    for (int o = 0; o < 2; ++o) {
      EXPECT_EQ(ScaleOf(*m, o), 0.0f);
      for (int i = 0; i < m->k; ++i) EXPECT_EQ(UnpackedCode(*m, o, i), 0);
    }
  }
}

TEST(Pack, LargestFiniteWeightsKeepFiniteScales) {
  const Matrix w(1, std::vector<float>(8, std::numeric_limits<float>::max()));
  for (const Format& format : {kInt8, kInt4, Grouped(64)}) {
    const auto m = PackOf(format, w);
    ASSERT_TRUE(m.ok());
    EXPECT_EQ(UnpackedCode(*m, 0, 0), format.code == Code::kInt8 ? 127 : (format.group != 0 ? 126 : 7));
  }
}

TEST(Pack, NonFiniteWeightsAreRefusedByOutputAndInput) {
  for (const float bad :
       {std::nanf(""), std::numeric_limits<float>::infinity(), -std::numeric_limits<float>::infinity()}) {
    for (const Format& format : {Format{Code::kF32}, Format{Code::kBf16}, kInt8, kInt4}) {
      Matrix w(5, std::vector<float>(9, 1.0f));
      w[3][7] = bad;
      const auto m = PackOf(format, w);
      ASSERT_FALSE(m.ok());
      EXPECT_EQ(m.error().code, ErrorCode::kInvalid);
      EXPECT_NE(m.error().message.find("output 3, input 7"), std::string::npos) << m.error().message;
    }
  }
}

TEST(Pack, ShapesAndFormatsThatNoKernelReadsAreRefused) {
  const RowReader never = [](int, std::span<float>) -> Status { return Invalid("read"); };
  EXPECT_EQ(Pack(kInt8, 0, 4, never).error().code, ErrorCode::kInvalid);
  EXPECT_EQ(Pack(kInt8, 4, 0, never).error().code, ErrorCode::kInvalid);
  EXPECT_EQ(Pack(kInt8, 4, kMaxK + 1, never).error().code, ErrorCode::kUnsupported);
  const Format bad[] = {{Code::kF16},
                        {Code::kF32, Scales::kChannel},
                        {Code::kInt8},
                        {Code::kInt8, Scales::kGroup, 32},
                        {Code::kInt4, Scales::kGroup, 48},
                        {Code::kInt4, Scales::kGroup},
                        {Code::kUint8, Scales::kChannel}};
  for (const Format& format : bad) {
    EXPECT_EQ(Pack(format, 4, 4, never).error().code, ErrorCode::kUnsupported) << ToString(format);
  }
}

TEST(Pack, AReadersErrorComesThrough) {
  const auto m = Pack(kInt8, 4, 4, [](int o, std::span<float> row) -> Status {
    std::fill(row.begin(), row.end(), 1.0f);
    if (o == 2) return IoError("torn page");
    return {};
  });
  ASSERT_FALSE(m.ok());
  EXPECT_EQ(m.error().message, "torn page");
}

TEST(AlignedBuffer, IsAlignedZeroedAndEmptyWhereRefused) {
  for (const size_t bytes : {size_t{1}, size_t{1000}, size_t{5} << 20}) {
    const AlignedBuffer buffer(bytes);
    ASSERT_EQ(buffer.size(), bytes);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(buffer.data()) % 64, 0u);
    for (size_t i = 0; i < bytes; i += 61) ASSERT_EQ(buffer.data()[i], std::byte{0});
  }
  EXPECT_EQ(AlignedBuffer().size(), 0u);
  EXPECT_EQ(AlignedBuffer(0).data(), nullptr);
  EXPECT_EQ(AlignedBuffer(std::numeric_limits<size_t>::max()).size(), 0u);
}

}  // namespace
}  // namespace lodestone
