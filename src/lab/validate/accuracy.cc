#include "lab/validate/accuracy.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

namespace lodestone {
namespace {

std::vector<double> RanksOf(std::span<const double> values) {
  std::vector<size_t> order(values.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return values[a] < values[b]; });
  std::vector<double> ranks(values.size());
  for (size_t begin = 0; begin < order.size();) {
    size_t end = begin + 1;
    while (end < order.size() && values[order[end]] == values[order[begin]]) ++end;
    const double rank = (static_cast<double>(begin) + static_cast<double>(end - 1)) / 2;
    for (size_t i = begin; i < end; ++i) ranks[order[i]] = rank;
    begin = end;
  }
  return ranks;
}

}  // namespace

double RankCorrelation(std::span<const double> a, std::span<const double> b) {
  const std::vector<double> x = RanksOf(a), y = RanksOf(b);
  if (x.size() < 2) return 0;
  const double mean = static_cast<double>(x.size() - 1) / 2;
  double xx = 0, yy = 0, xy = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    xx += (x[i] - mean) * (x[i] - mean);
    yy += (y[i] - mean) * (y[i] - mean);
    xy += (x[i] - mean) * (y[i] - mean);
  }
  return xx > 0 && yy > 0 ? xy / std::sqrt(xx * yy) : 0;
}

Accuracy AccuracyOf(std::span<const Comparison> comparisons) {
  Accuracy accuracy;
  if (comparisons.empty()) return accuracy;
  std::vector<double> published, estimated;
  int inside = 0, within_2 = 0;
  for (const Comparison& comparison : comparisons) {
    const double error = comparison.Ratio() - 1;
    accuracy.mape += std::abs(error);
    accuracy.bias += error;
    if (std::abs(error) > std::abs(accuracy.worst)) accuracy.worst = error;
    inside += comparison.InRange() ? 1 : 0;
    within_2 += std::abs(std::log2(comparison.Ratio())) <= 1 ? 1 : 0;
    published.push_back(comparison.published);
    estimated.push_back(comparison.estimate.typical);
  }
  const auto count = static_cast<double>(comparisons.size());
  accuracy.count = static_cast<int>(comparisons.size());
  accuracy.mape /= count;
  accuracy.bias /= count;
  accuracy.inside = inside / count;
  accuracy.within_2 = within_2 / count;
  accuracy.spearman = RankCorrelation(published, estimated);
  return accuracy;
}

}  // namespace lodestone
