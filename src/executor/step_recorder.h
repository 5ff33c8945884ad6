// What a calibrating executor tells of the values that it meets.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <utility>

#include "model/weight_source.h"

namespace lodestone {

// What a linear layer in f32 is about to read: x[rows][stride], of which the first k of each row count.
struct LinearInput {
  WeightId weight;
  const float* x;
  int64_t stride;
  int rows, k;
};

// The largest magnitude that each static quantiser met, which calibration turns into step sizes; and, where somebody
// listens, the inputs of the linear layers. Thread-safe. A maximum does not depend on the order of what it saw, so
// calibration is deterministic.
class StepRecorder {
 public:
  using InputListener = std::function<void(const LinearInput&)>;

  StepRecorder() = default;
  // The listener is called by the thread that runs the stage, once a linear layer and pass, and may use the thread
  // pool.
  explicit StepRecorder(InputListener listener) : listener_(std::move(listener)) {}

  void Observe(const WeightId& step, float magnitude) {
    const std::lock_guard lock(mutex_);
    float& largest = maxima_[{step.kind, step.layer}];
    if (magnitude > largest) largest = magnitude;
  }
  void Observe(const LinearInput& input) const {
    if (listener_) listener_(input);
  }
  // By (kind, layer).
  const std::map<std::pair<WeightKind, int>, float>& maxima() const { return maxima_; }

 private:
  std::mutex mutex_;
  std::map<std::pair<WeightKind, int>, float> maxima_;
  InputListener listener_;
};

}  // namespace lodestone
