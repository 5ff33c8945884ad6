#include "lab/statistics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace lodestone::testing {
namespace {

TEST(Statistics, OfKnownValues) {
  const Statistics s = StatisticsOf(std::vector<double>{2, 4, 4, 4, 5, 5, 7, 9});
  EXPECT_DOUBLE_EQ(s.mean, 5);
  EXPECT_DOUBLE_EQ(s.median, 4.5);
  EXPECT_DOUBLE_EQ(s.min, 2);
  EXPECT_DOUBLE_EQ(s.max, 9);
  EXPECT_DOUBLE_EQ(s.standard_deviation, std::sqrt(32.0 / 7));
  EXPECT_DOUBLE_EQ(s.standard_error, std::sqrt(32.0 / 7 / 8));
}

TEST(Statistics, OfOneAndOfNone) {
  const Statistics one = StatisticsOf(std::vector<double>{3});
  EXPECT_EQ(one.mean, 3);
  EXPECT_EQ(one.median, 3);
  EXPECT_EQ(one.standard_deviation, 0);
  EXPECT_EQ(StatisticsOf({}).mean, 0);
}

}  // namespace
}  // namespace lodestone::testing
