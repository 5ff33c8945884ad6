#include "appliance/timeline.h"

#include <chrono>

namespace lodestone {
namespace {

int64_t MonotonicNs() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

}  // namespace

WallTimeline::WallTimeline() : start_ns_(MonotonicNs()) {}

Time WallTimeline::Now() const { return {(MonotonicNs() - start_ns_) * 1000}; }

}  // namespace lodestone
