#include "base/units.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace lodestone {
namespace {

TEST(TimeTest, SecondsRoundToTheNearestPicosecond) {
  EXPECT_EQ(Time::Seconds(1).ps, 1'000'000'000'000);
  EXPECT_EQ(Time::Seconds(1.6e-12).ps, 2);
  EXPECT_EQ(Time::Seconds(-1.6e-12).ps, -2);
  EXPECT_DOUBLE_EQ(Time{1'500'000'000'000}.seconds(), 1.5);
}

TEST(TimeTest, SumsAreExact) {
  Time time = Time{3} + Time{4} - Time{5};
  time += Time{10};
  EXPECT_EQ(time, Time{12});
  EXPECT_LT(Time{1}, Time{2});
}

TEST(FormatBytesTest, OneDecimalFromKiBOn) {
  EXPECT_EQ(FormatBytes(0), "0 B");
  EXPECT_EQ(FormatBytes(512), "512 B");
  EXPECT_EQ(FormatBytes(1023), "1023 B");
  EXPECT_EQ(FormatBytes(1024), "1.0 KiB");
  EXPECT_EQ(FormatBytes(104 * kMiB), "104.0 MiB");
  EXPECT_EQ(FormatBytes(2'040'109'466), "1.9 GiB");
  EXPECT_EQ(FormatBytes(-2048), "-2.0 KiB");
}

TEST(FormatBytesTest, RoundingNeverShows1024OfAUnit) {
  EXPECT_EQ(FormatBytes(kMiB - 1), "1.0 MiB");
  EXPECT_EQ(FormatBytes(kGiB - 1), "1.0 GiB");
}

TEST(FormatBytesTest, HoldsAtTheEndsOfTheRange) {
  EXPECT_EQ(FormatBytes(std::numeric_limits<int64_t>::max()), "8.0 EiB");
  EXPECT_EQ(FormatBytes(std::numeric_limits<int64_t>::min()), "-8.0 EiB");
}

TEST(FormatSecondsTest, ThreeDigitsInTheUnitOfItsSize) {
  EXPECT_EQ(FormatSeconds(0.000987), "0.987 ms");
  EXPECT_EQ(FormatSeconds(1.01), "1.01 s");
  EXPECT_EQ(FormatSeconds(0.0000705), "70.5 µs");
  EXPECT_EQ(FormatSeconds(0.15), "150 ms");
  EXPECT_EQ(FormatSeconds(1e-9), "1.00 ns");
  EXPECT_EQ(FormatSeconds(3e-12), "3 ps");
  EXPECT_EQ(FormatSeconds(123.4), "123 s");
  EXPECT_EQ(FormatSeconds(12345.6), "12,346 s");
  EXPECT_EQ(FormatSeconds(0), "0 s");
  EXPECT_EQ(FormatSeconds(-0.002), "-2.00 ms");
}

TEST(FormatSecondsTest, RoundingMovesToTheNextUnit) {
  EXPECT_EQ(FormatSeconds(0.9994), "999 ms");
  EXPECT_EQ(FormatSeconds(0.9996), "1.00 s");
  EXPECT_EQ(FormatSeconds(9.9999e-7), "1.00 µs");
}

TEST(FormatNumberTest, GroupsAboveAThousandElseThreeDigits) {
  EXPECT_EQ(FormatNumber(28356.3), "28,356");
  EXPECT_EQ(FormatNumber(1.23456), "1.23");
  EXPECT_EQ(FormatNumber(8.06e-8), "8.06e-08");
  EXPECT_EQ(FormatNumber(22e9), "22,000,000,000");
  EXPECT_EQ(FormatNumber(1e15), "1.00e+15");
  EXPECT_EQ(FormatNumber(0.00123), "0.00123");
  EXPECT_EQ(FormatNumber(0.1), "0.100");
  EXPECT_EQ(FormatNumber(-1234567), "-1,234,567");
}

TEST(FormatNumberTest, WholeNumbersStayWhole) {
  EXPECT_EQ(FormatNumber(0), "0");
  EXPECT_EQ(FormatNumber(16), "16");
  EXPECT_EQ(FormatNumber(999), "999");
  EXPECT_EQ(FormatNumber(1000), "1,000");
}

TEST(FormatNumberTest, RoundingKeepsThreeDigits) {
  EXPECT_EQ(FormatNumber(9.999), "10.0");
  EXPECT_EQ(FormatNumber(99.96), "100");
  EXPECT_EQ(FormatNumber(999.7), "1,000");
}

TEST(FormatNumberTest, WhatIsNoNumberSaysSo) {
  EXPECT_EQ(FormatNumber(std::nan("")), "nan");
  EXPECT_EQ(FormatNumber(-std::numeric_limits<double>::infinity()), "-inf");
  EXPECT_EQ(FormatSeconds(std::numeric_limits<double>::infinity()), "inf s");
}

}  // namespace
}  // namespace lodestone
