// Weights for tests: every element a hash of its place, matrices scaled so that activations stay of order one, norms
// near one, biases and steps not zero, so that a tensor that is read wrongly or not at all changes the result.
#pragma once

#include <cmath>

#include "model/weight_source.h"

namespace lodestone::testing {

class HashWeights final : public WeightSource {
 public:
  explicit HashWeights(uint64_t seed) : seed_(seed) {}

  Status ReadRow(const WeightId& id, int64_t row, std::span<float> out) const override {
    if (id.kind >= WeightKind::kAttentionInputStep) {
      out[0] = 0.02f + 0.01f * static_cast<float>(id.layer + 1);
      return {};
    }
    const bool norm = id.kind == WeightKind::kAttentionNorm || id.kind == WeightKind::kMlpNorm ||
                      id.kind == WeightKind::kFinalNorm || id.kind == WeightKind::kQNorm ||
                      id.kind == WeightKind::kKNorm;
    const double scale = norm ? 0.3 : 2.0 / std::sqrt(static_cast<double>(out.size()));
    for (size_t i = 0; i < out.size(); ++i) {
      const uint64_t key =
          Mix(seed_ ^ Mix(static_cast<uint64_t>(id.kind) * 1000003 + static_cast<uint64_t>(id.layer + 1) * 7919) ^
              Mix(static_cast<uint64_t>(row) << 32 | i));
      const double uniform = static_cast<double>(key >> 11) * 0x1.0p-53 * 2 - 1;
      out[i] = static_cast<float>((norm ? 1.0 : 0.0) + scale * uniform);
    }
    return {};
  }
  std::string Describe() const override { return "test weights"; }

 private:
  static uint64_t Mix(uint64_t x) {
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
    return x ^ (x >> 31);
  }
  uint64_t seed_;
};

}  // namespace lodestone::testing
