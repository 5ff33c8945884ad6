#include "lab/statistics.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace lodestone {

Statistics StatisticsOf(std::span<const double> values) {
  Statistics s;
  if (values.empty()) return s;
  const auto n = static_cast<double>(values.size());
  for (const double value : values) s.mean += value / n;
  if (values.size() > 1) {
    double squares = 0;
    for (const double value : values) squares += (value - s.mean) * (value - s.mean);
    s.standard_deviation = std::sqrt(squares / (n - 1));
    s.standard_error = s.standard_deviation / std::sqrt(n);
  }
  std::vector<double> sorted(values.begin(), values.end());
  std::sort(sorted.begin(), sorted.end());
  s.min = sorted.front();
  s.max = sorted.back();
  s.median = (sorted[(sorted.size() - 1) / 2] + sorted[sorted.size() / 2]) / 2;
  return s;
}

}  // namespace lodestone
