// How far estimates lie from what was published.
#pragma once

#include <span>

#include "plan/machine_estimate.h"

namespace lodestone {

// A published value and its estimate. Times are compared as rates: an estimate of twice the time is 50 % too low.
struct Comparison {
  double published = 0;
  Range estimate;
  bool is_rate = true;

  // estimate ÷ published, of rates.
  double Ratio() const { return is_rate ? estimate.typical / published : published / estimate.typical; }
  bool InRange() const { return estimate.low <= published && published <= estimate.high; }
};

struct Accuracy {
  int count = 0;
  double mape = 0;      // mean of |estimate / published − 1|
  double bias = 0;      // mean of estimate / published − 1
  double worst = 0;     // estimate / published − 1 of the row where it is largest
  double spearman = 0;  // rank correlation of published and estimated values; of fewer than two rows 0
  double inside = 0;    // share of rows between low and high
  double within_2 = 0;  // share of rows within a factor of 2
};
Accuracy AccuracyOf(std::span<const Comparison> comparisons);

// Ranks share their mean where values are equal (C. Spearman, 1904). 0 where either side does not vary.
double RankCorrelation(std::span<const double> a, std::span<const double> b);

}  // namespace lodestone
