#include "appliance/hold_trace.h"

#include <algorithm>

namespace lodestone {

void HoldTrace::Add(Half half, const FramebufferHalf::Hold& hold, FlowObserver& observer) {
  changes_.push({hold.from, hold.bytes});
  changes_.push({hold.until, -hold.bytes});
  latest_[half] = hold.from;
  const Time known = !used_[kDepartures] ? latest_[kArrivals]
                     : !used_[kArrivals] ? latest_[kDepartures]
                                         : std::min(latest_[kArrivals], latest_[kDepartures]);
  while (!changes_.empty() && changes_.top().at < known) {
    const Time at = changes_.top().at;
    const int64_t before = bytes_;
    for (; !changes_.empty() && changes_.top().at == at; changes_.pop()) bytes_ += changes_.top().bytes;
    if (bytes_ != before) observer.Holds(card_, at, bytes_);
  }
}

}  // namespace lodestone
