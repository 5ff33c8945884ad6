#include "lab/power_bins.h"

#include <algorithm>

#include "base/status.h"

namespace lodestone {

PowerBins::PowerBins(size_t bins) : joules_(bins) { LODESTONE_CHECK(bins >= 2 && bins % 2 == 0); }

void PowerBins::Add(Time start, Time finish, Energy energy) {
  while (finish.ps / width_.ps >= static_cast<int64_t>(joules_.size())) {
    const size_t half = joules_.size() / 2;
    for (size_t i = 0; i < half; ++i) joules_[i] = joules_[2 * i] + joules_[2 * i + 1];
    std::fill(joules_.begin() + static_cast<std::ptrdiff_t>(half), joules_.end(), 0.0);
    width_.ps *= 2;
  }
  const int64_t length = finish.ps - start.ps;
  if (length <= 0) {
    joules_[static_cast<size_t>(start.ps / width_.ps)] += energy.joules();
    return;
  }
  for (int64_t at = start.ps; at < finish.ps;) {
    const int64_t bin = at / width_.ps, until = std::min(finish.ps, (bin + 1) * width_.ps);
    joules_[static_cast<size_t>(bin)] +=
        energy.joules() * static_cast<double>(until - at) / static_cast<double>(length);
    at = until;
  }
}

std::vector<double> PowerBins::Watts(Time end) const {
  std::vector<double> watts;
  for (int64_t from = 0; from < end.ps && watts.size() < joules_.size(); from += width_.ps) {
    const Time length{std::min(width_.ps, end.ps - from)};
    watts.push_back(joules_[watts.size()] / length.seconds());
  }
  return watts;
}

}  // namespace lodestone
