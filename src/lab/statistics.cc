#include "lab/statistics.h"

#include <algorithm>
#include <cmath>

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

namespace {

double Percentile(std::span<const double> sorted, double share) {
  const double at = share * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<size_t>(at);
  const size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (at - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

}  // namespace

Distribution DistributionOf(std::vector<double> values) {
  if (values.empty()) return {};
  std::sort(values.begin(), values.end());
  const Statistics s = StatisticsOf(values);
  return {.count = static_cast<int64_t>(values.size()),
          .mean = s.mean,
          .standard_deviation = s.standard_deviation,
          .min = s.min,
          .max = s.max,
          .p50 = Percentile(values, 0.5),
          .p90 = Percentile(values, 0.9),
          .p95 = Percentile(values, 0.95),
          .p99 = Percentile(values, 0.99)};
}

}  // namespace lodestone
