// What a handful of repeated measurements says.
#pragma once

#include <span>

namespace lodestone {

struct Statistics {
  double mean = 0, median = 0, min = 0, max = 0;
  double standard_deviation = 0;  // over n − 1; 0 for a single value
  double standard_error = 0;      // of the mean: σ / √n
};
// All zero for no values.
Statistics StatisticsOf(std::span<const double> values);

}  // namespace lodestone
