// What a handful of repeated measurements says.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace lodestone {

struct Statistics {
  double mean = 0, median = 0, min = 0, max = 0;
  double standard_deviation = 0;  // over n − 1; 0 for a single value
  double standard_error = 0;      // of the mean: σ / √n
};
// All zero for no values.
Statistics StatisticsOf(std::span<const double> values);

// What many measurements say, tails included: the summary that clients of this field print.
struct Distribution {
  int64_t count = 0;
  double mean = 0, standard_deviation = 0, min = 0, max = 0;
  double p50 = 0, p90 = 0, p95 = 0, p99 = 0;  // between two values, a percentile is interpolated linearly
};
// All zero for no values. Sorts them.
Distribution DistributionOf(std::vector<double> values);

}  // namespace lodestone
