// Energy over time: spans of work dealt to bins of one width, which doubles whenever the run outgrows them.
#pragma once

#include <cstddef>
#include <vector>

#include "base/units.h"

namespace lodestone {

class PowerBins {
 public:
  // At most `bins` of them; an even number.
  explicit PowerBins(size_t bins = 512);

  // Spread evenly over [start, finish], which is not before the beginning of time.
  void Add(Time start, Time finish, Energy energy);

  Time width() const { return width_; }
  // Average watts of each bin up to `end`; the last one over the part of it that is before `end`.
  std::vector<double> Watts(Time end) const;

 private:
  std::vector<double> joules_;
  Time width_{1'000'000};
};

}  // namespace lodestone
