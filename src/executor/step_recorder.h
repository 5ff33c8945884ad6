// The largest magnitude that each static quantiser met: what calibration turns into step sizes.
#pragma once

#include <map>
#include <mutex>
#include <utility>

#include "model/weight_source.h"

namespace lodestone {

// Thread-safe. A maximum does not depend on the order of what it saw, so calibration is deterministic.
class StepRecorder {
 public:
  void Observe(const WeightId& step, float magnitude) {
    const std::lock_guard lock(mutex_);
    float& largest = maxima_[{step.kind, step.layer}];
    if (magnitude > largest) largest = magnitude;
  }
  // By (kind, layer).
  const std::map<std::pair<WeightKind, int>, float>& maxima() const { return maxima_; }

 private:
  std::mutex mutex_;
  std::map<std::pair<WeightKind, int>, float> maxima_;
};

}  // namespace lodestone
