// Cosines and sines of rotary angles, computed in double once a position and kept.
#pragma once

#include <cstdint>
#include <vector>

#include "model/config.h"

namespace lodestone {

class RopeTable {
 public:
  explicit RopeTable(const Rope& rope);

  // Makes positions [0, count) available. Not thread-safe; call before a parallel loop.
  void Extend(int64_t count);
  // rotary_dim/2 cosines, then as many sines.
  const float* At(int64_t position) const { return values_.data() + position * 2 * half_; }

  const Rope& rope() const { return rope_; }

 private:
  Rope rope_;
  int64_t half_;
  std::vector<double> frequency_;  // radians a position, of each pair
  std::vector<float> values_;
};

// θ^(−2i/rotary_dim), rescaled by linear or Llama 3 scaling.
std::vector<double> RotaryFrequencies(const Rope& rope);

}  // namespace lodestone
