#include "executor/rope_table.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace lodestone {

std::vector<double> RotaryFrequencies(const Rope& rope) {
  std::vector<double> frequencies;
  for (int i = 0; i < rope.rotary_dim / 2; ++i) {
    double frequency = std::pow(rope.theta, -2.0 * i / rope.rotary_dim) / rope.linear_factor;
    if (rope.llama3_factor > 0) {
      // Llama 3.1: wavelengths beyond original/low are stretched by the factor, those below original/high kept, between
      // them a linear blend in original/wavelength.
      const double turns = static_cast<double>(rope.original_positions) * frequency / (2 * std::numbers::pi);
      const double blend =
          std::clamp((turns - rope.low_freq_factor) / (rope.high_freq_factor - rope.low_freq_factor), 0.0, 1.0);
      frequency = (1 - blend) * frequency / rope.llama3_factor + blend * frequency;
    }
    frequencies.push_back(frequency);
  }
  return frequencies;
}

RopeTable::RopeTable(const Rope& rope) : rope_(rope), half_(rope.rotary_dim / 2), frequency_(RotaryFrequencies(rope)) {}

void RopeTable::Extend(int64_t count) {
  const int64_t have = half_ > 0 ? static_cast<int64_t>(values_.size()) / (2 * half_) : count;
  if (count <= have) return;
  count = std::max(count, 2 * have);
  values_.resize(static_cast<size_t>(count * 2 * half_));
  for (int64_t position = have; position < count; ++position) {
    float* out = values_.data() + position * 2 * half_;
    for (int64_t i = 0; i < half_; ++i) {
      const double angle = static_cast<double>(position) * frequency_[i];
      out[i] = static_cast<float>(std::cos(angle));
      out[half_ + i] = static_cast<float>(std::sin(angle));
    }
  }
}

}  // namespace lodestone
