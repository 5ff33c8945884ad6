// What the ranges of factors do to a time. Private to plan/.
#pragma once

#include <algorithm>
#include <cmath>

#include "plan/machine_estimate.h"

namespace lodestone {

// Independent errors on the logarithm of a time: squares of what each of them does, slower and faster apart.
class Spread {
 public:
  explicit Spread(double typical) : typical_(typical) {}

  // The time with one factor at either end.
  void Add(double at_low, double at_high) {
    if (typical_ <= 0) return;
    const double low = std::log(at_low / typical_), high = std::log(at_high / typical_);
    const double slower = std::max({low, high, 0.0}), faster = std::max({-low, -high, 0.0});
    slower_ += slower * slower;
    faster_ += faster * faster;
  }

  Range range() const {
    return {typical_ * std::exp(-std::sqrt(faster_)), typical_, typical_ * std::exp(std::sqrt(slower_))};
  }

 private:
  double typical_, slower_ = 0, faster_ = 0;
};

}  // namespace lodestone
