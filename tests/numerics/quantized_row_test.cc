#include "numerics/quantized_row.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <random>

#include "numerics/packed_matrix.h"
#include "numerics/rounding.h"

namespace lodestone {
namespace {

constexpr Format kFormats[] = {{Code::kInt8, Scales::kChannel},
                               {Code::kInt4, Scales::kChannel},
                               {Code::kInt4, Scales::kGroup, 32},
                               {Code::kInt4, Scales::kGroup, 64},
                               {Code::kInt4, Scales::kGroup, 128}};

std::vector<float> RandomRow(std::mt19937& random, size_t k) {
  std::normal_distribution<float> normal;
  std::vector<float> row(k);
  for (float& value : row) value = normal(random);
  return row;
}

bool SameBytes(const AlignedBuffer& a, const AlignedBuffer& b) {
  return a.size() == b.size() && (a.size() == 0 || std::memcmp(a.data(), b.data(), a.size()) == 0);
}

TEST(QuantizedRowProperty, PackingRoundedRowsIsPackingTheirValues) {
  std::mt19937 random(5);
  for (int round = 0; round < 30; ++round) {
    const int n = static_cast<int>(random() % 40) + 1, k = static_cast<int>(random() % 300) + 1;
    std::vector<std::vector<float>> rows;
    for (int o = 0; o < n; ++o) rows.push_back(RandomRow(random, static_cast<size_t>(k)));
    for (const Format& format : kFormats) {
      const auto packed = Pack(format, n, k, [&](int o, std::span<float> row) {
        std::copy(rows[static_cast<size_t>(o)].begin(), rows[static_cast<size_t>(o)].end(), row.begin());
        return Status();
      });
      const auto from_codes = PackCodes(format, n, k, [&](int o, QuantizedRow& row) {
        RoundRow(format, rows[static_cast<size_t>(o)], row);
        return Status();
      });
      ASSERT_TRUE(packed.ok() && from_codes.ok());
      ASSERT_TRUE(SameBytes(packed->codes, from_codes->codes));
      ASSERT_TRUE(SameBytes(packed->scales, from_codes->scales));
      ASSERT_TRUE(SameBytes(packed->multipliers, from_codes->multipliers));
    }
  }
}

TEST(QuantizedRowProperty, UnpackingGivesTheRowsBack) {
  std::mt19937 random(6);
  for (const Format& format : kFormats) {
    const int n = 37, k = 201;
    std::vector<QuantizedRow> rows(n);
    for (QuantizedRow& row : rows) RoundRow(format, RandomRow(random, k), row);
    const auto packed = PackCodes(format, n, k, [&](int o, QuantizedRow& row) {
      row = rows[static_cast<size_t>(o)];
      return Status();
    });
    ASSERT_TRUE(packed.ok());
    EXPECT_TRUE(CheckPackedCodes(format, {packed->codes.data(), packed->codes.size()}).ok());
    EXPECT_TRUE(CheckScales({packed->scales.data(), packed->scales.size()}).ok());
    EXPECT_TRUE(CheckMultipliers({packed->multipliers.data(), packed->multipliers.size()}).ok());
    QuantizedRow row;
    std::vector<float> values(k), expected(k);
    for (int o = 0; o < n; ++o) {
      UnpackCodes(*packed, o, row);
      ASSERT_EQ(row.codes, rows[static_cast<size_t>(o)].codes);
      ASSERT_EQ(row.multipliers, rows[static_cast<size_t>(o)].multipliers);
      ASSERT_EQ(row.scale, rows[static_cast<size_t>(o)].scale);
      UnpackRow(*packed, o, values);
      Dequantize(format, row, expected);
      ASSERT_EQ(values, expected);
      for (int i = 0; i < k; ++i) ASSERT_EQ(values[static_cast<size_t>(i)], UnpackedValue(*packed, o, i));
    }
  }
}

// Panels filled one by one from the last to the first, as threads may, make the bytes of the whole.
TEST(PackPanels, OrderAndDivisionOfPanelsDoNotMatter) {
  std::mt19937 random(7);
  const int n = 70, k = 130;
  std::vector<std::vector<float>> rows;
  for (int o = 0; o < n; ++o) rows.push_back(RandomRow(random, k));
  const RowReader read = [&](int o, std::span<float> row) {
    std::copy(rows[static_cast<size_t>(o)].begin(), rows[static_cast<size_t>(o)].end(), row.begin());
    return Status();
  };
  for (const Format& format : {Format{Code::kF32}, Format{Code::kBf16}, kFormats[0], kFormats[1], kFormats[3]}) {
    const auto whole = Pack(format, n, k, read);
    auto parts = AllocatePacked({format, n, k});
    ASSERT_TRUE(whole.ok() && parts.ok());
    for (int panel = parts->panels(); panel-- > 0;) ASSERT_TRUE(PackPanels(panel, panel + 1, read, *parts).ok());
    EXPECT_TRUE(SameBytes(whole->codes, parts->codes)) << ToString(format);
    EXPECT_TRUE(SameBytes(whole->scales, parts->scales)) << ToString(format);
    EXPECT_TRUE(SameBytes(whole->multipliers, parts->multipliers)) << ToString(format);
  }
}

// One fault a case; the message says which.
TEST(PackCodes, FaultyRowsAreRefusedByName) {
  const Format channel = {Code::kInt4, Scales::kChannel}, groups = {Code::kInt4, Scales::kGroup, 32};
  const auto message = [](const Format& format, const std::function<void(QuantizedRow&)>& change) {
    const auto packed = PackCodes(format, 3, 40, [&](int o, QuantizedRow& row) {
      row.codes.assign(40, 1);
      row.multipliers.assign(format.scales == Scales::kGroup ? 2 : 0, 3);
      row.scale = 0.5f;
      if (o == 2) change(row);
      return Status();
    });
    return packed.ok() ? "accepted" : packed.error().message;
  };
  EXPECT_EQ(message(channel, [](QuantizedRow&) {}), "accepted");
  EXPECT_EQ(message(groups, [](QuantizedRow&) {}), "accepted");
  EXPECT_EQ(message(channel, [](QuantizedRow& row) { row.codes[9] = -8; }),
            "output 2, input 9: code -8, expected -7 to 7 in int4·channel");
  EXPECT_EQ(message(channel, [](QuantizedRow& row) { row.codes.pop_back(); }),
            "output 2: 39 codes and 0 multipliers, expected 40 and 0 in int4·channel");
  EXPECT_EQ(message(groups, [](QuantizedRow& row) { row.multipliers[1] = 19; }),
            "output 2, group 1: multiplier 19, expected 1 to 18");
  EXPECT_EQ(message(groups, [](QuantizedRow& row) { row.multipliers[0] = 0; }),
            "output 2, group 0: multiplier 0, expected 1 to 18");
  for (const float bad : {-1.0f, std::nanf(""), std::numeric_limits<float>::infinity()}) {
    EXPECT_NE(message(channel, [bad](QuantizedRow& row) { row.scale = bad; }).find("output 2: scale"),
              std::string::npos);
  }
  const CodeReader never = [](int, QuantizedRow&) { return Status(); };
  EXPECT_EQ(PackCodes({Code::kBf16}, 4, 4, never).error().code, ErrorCode::kUnsupported);
}

TEST(CheckPacked, BytesThatNoPackWritesAreRefused) {
  const auto check = [](const Format& format, std::byte bad) {
    std::vector<std::byte> bytes(100, std::byte{0x88});
    bytes[67] = bad;
    return CheckPackedCodes(format, bytes).ok();
  };
  const Format int4 = kFormats[1], int8 = kFormats[0];
  EXPECT_TRUE(check(int4, std::byte{0x1f}));
  EXPECT_FALSE(check(int4, std::byte{0x0f}));
  EXPECT_FALSE(check(int4, std::byte{0xf0}));
  EXPECT_TRUE(check(int8, std::byte{0x01}));
  EXPECT_FALSE(check(int8, std::byte{0x00}));
  for (const float bad : {std::nanf(""), -std::numeric_limits<float>::infinity()}) {
    const std::vector<float> values = {1, 2, bad};
    EXPECT_FALSE(CheckPackedCodes({Code::kF32}, std::as_bytes(std::span(values))).ok());
    const std::vector<Bf16> halves = {1, FloatToBf16(bad), 2};
    EXPECT_FALSE(CheckPackedCodes({Code::kBf16}, std::as_bytes(std::span(halves))).ok());
  }
  const std::vector<float> scales = {0, 1, -1};
  EXPECT_TRUE(CheckScales(std::as_bytes(std::span(scales).first(2))).ok());
  EXPECT_FALSE(CheckScales(std::as_bytes(std::span(scales))).ok());
  for (const int multiplier : {0, 19, 255}) {
    const std::vector<std::byte> bytes = {std::byte{18}, static_cast<std::byte>(multiplier)};
    EXPECT_TRUE(CheckMultipliers(std::span(bytes).first(1)).ok());
    EXPECT_FALSE(CheckMultipliers(bytes).ok());
  }
}

}  // namespace
}  // namespace lodestone
