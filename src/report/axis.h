// One axis of a plot: its range, its ticks, and where a value lies between its ends.
#pragma once

#include <string>
#include <vector>

namespace lodestone {

enum class Scale { kLinear, kLog };

// A range that ends on ticks. Labelled ticks are at 1, 2 or 5 × 10^n; on a logarithmic axis at powers of ten, with 2
// and 5 between where the range is short, and `minor` ticks at the other whole multiples.
struct AxisTicks {
  Scale scale = Scale::kLinear;
  double low = 0, high = 1;
  double step = 0.2;  // of a linear axis
  std::vector<double> labelled, minor;

  double At(double value) const;  // 0 at `low`, 1 at `high`; outside the range beyond them
  bool Holds(double value) const { return value >= low && value <= high; }
};

// Ticks for data from `low` to `high`, about `target` of them labelled. A range that is empty, not finite, or not
// positive where the scale is logarithmic, is widened to one that can be drawn.
AxisTicks TicksFor(Scale scale, double low, double high, int target = 6);

// "0.25", "1,500", "10⁶", "2×10⁻⁴".
std::string TickLabel(const AxisTicks& axis, double tick);

}  // namespace lodestone
