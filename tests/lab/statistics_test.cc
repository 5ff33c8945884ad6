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

TEST(Statistics, DistributionInterpolatesPercentiles) {
  std::vector<double> values;
  for (int i = 100; i >= 0; --i) values.push_back(i);  // 0 … 100, so that a percentile is its number
  const Distribution d = DistributionOf(values);
  EXPECT_EQ(d.count, 101);
  EXPECT_DOUBLE_EQ(d.p50, 50);
  EXPECT_DOUBLE_EQ(d.p90, 90);
  EXPECT_DOUBLE_EQ(d.p95, 95);
  EXPECT_DOUBLE_EQ(d.p99, 99);
  EXPECT_DOUBLE_EQ(d.min, 0);
  EXPECT_DOUBLE_EQ(d.max, 100);
  EXPECT_NEAR(d.mean, 50, 1e-12);
  const Distribution two = DistributionOf({3, 1});
  EXPECT_DOUBLE_EQ(two.p50, 2);
  EXPECT_DOUBLE_EQ(two.p99, 1 + 2 * 0.99);
  EXPECT_DOUBLE_EQ(DistributionOf({7}).p99, 7);
  EXPECT_EQ(DistributionOf({}).count, 0);
}

}  // namespace
}  // namespace lodestone::testing
