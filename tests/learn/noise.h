// Numbers for tests of learn/: nearly Gaussian, of variance one, the same on every machine.
#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

namespace lodestone::testing {

inline std::vector<float> Noise(size_t count, uint64_t seed) {
  std::vector<float> out;
  for (size_t i = 0; i < count; ++i) {
    double sum = 0;
    for (int term = 0; term < 4; ++term) {
      seed = seed * 6364136223846793005u + 1442695040888963407u;
      sum += static_cast<double>(seed >> 11) * 0x1.0p-53 - 0.5;
    }
    out.push_back(static_cast<float>(sum * std::sqrt(3.0)));
  }
  return out;
}

}  // namespace lodestone::testing
