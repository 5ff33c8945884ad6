// A differentiator whose loss is known in closed form: Σ over the targets of ½ Σ_i (θ_i − t(target, i))² / n over the
// parameters, so that training converges to the mean of the targets' points.
#pragma once

#include <cmath>
#include <functional>

#include "learn/differentiator.h"

namespace lodestone::testing {

class FakeDifferentiator final : public Differentiator {
 public:
  explicit FakeDifferentiator(Parameters& parameters) : parameters_(parameters) {}

  Result<Loss> Evaluate(const Batch& batch) override { return Sum(batch, 0, false); }
  Result<Loss> Accumulate(const Batch& batch, float scale, const GradientsReady& ready) override {
    if (fail_at > 0 && ++calls == fail_at) return Invalid("layer 1 gate: the output is not finite");
    Result<Loss> loss = Sum(batch, scale, true);
    if (ready) {
      for (size_t i = parameters_.list().size(); i-- > 0;) ready(parameters_.list()[i].offset);
    }
    return loss;
  }
  Result<std::vector<float>> Logits(const Batch&) override { return Unsupported("no logits"); }
  Status DistillFrom(Differentiator&, float, float) override { return {}; }
  int64_t activation_bytes() const override { return 0; }

  int calls = 0, fail_at = 0;

 private:
  static float Point(int32_t target, size_t i) {
    const auto mixed = (static_cast<uint64_t>(target) * 2654435761U + i * 40503U) >> 3;
    return static_cast<float>(mixed % 2001) / 1000 - 1;
  }

  Result<Loss> Sum(const Batch& batch, float scale, bool differentiate) {
    Loss loss;
    const std::span<float> values = parameters_.all_values(), gradients = parameters_.all_gradients();
    for (const int32_t target : batch.targets) {
      double nats = 0;
      for (const Parameter& p : parameters_.list()) {
        for (auto i = static_cast<size_t>(p.offset); i < static_cast<size_t>(p.offset + p.count()); ++i) {
          const float difference = values[i] - Point(target, i);
          nats += 0.5 * difference * difference;
          if (differentiate) gradients[i] += scale * difference;
        }
      }
      loss.nats += nats / static_cast<double>(values.size());
      ++loss.tokens;
    }
    return loss;
  }

  Parameters& parameters_;
};

}  // namespace lodestone::testing
