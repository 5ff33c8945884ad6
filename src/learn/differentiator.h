// The third reader of the operator list: walks a program forward over whole sequences, keeps what the backward needs,
// and walks it back.
//
// The forward is the executor's arithmetic: the same kernels on the same values, so that what is trained is what the
// engine executes (integer formats bit for bit; bf16 and f32 up to the order in which attention sums). The backward
// works in the precision of the recipe's stream (f32, or bf16 operands with f32 sums); round() passes gradients
// straight through, as LSQ defines.
//
// Results depend neither on the number of threads nor on the run: every sum has a fixed order.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "base/status.h"
#include "host/thread_pool.h"
#include "kernels/linear_products.h"
#include "learn/parameters.h"
#include "model/config.h"
#include "model/recipe.h"

namespace lodestone {

// Whole sequences, each from position 0.
struct Batch {
  int sequences = 0, length = 0;
  std::span<const int32_t> tokens;   // [sequences][length]
  std::span<const int32_t> targets;  // [sequences][length]; −1 is not counted
};

struct Loss {
  double nats = 0;     // summed over the counted targets
  int64_t tokens = 0;  // counted targets

  double mean() const { return tokens > 0 ? nats / static_cast<double>(tokens) : 0; }
};

// Told that the gradients of the flat buffer from `begin` to where the last call ended (or the end) are final.
using GradientsReady = std::function<void(int64_t begin)>;

struct DifferentiatorOptions {
  // Keeps the residual stream between parts alone and computes the rest again in the backward: less memory, a third
  // more work (T. Chen et al., Training deep nets with sublinear memory cost, 2016).
  bool recompute = false;
  // Kept blocks of a linear layer's weight; the others are zero and cost nothing. Outlive the differentiator.
  std::function<const kernels::BlockMask*(const WeightId&)> block_mask;
};

class Differentiator {
 public:
  // `parameters` and `threads` outlive it. Refused by name: operators that cannot be differentiated (Collective),
  // recipes whose formats have no kernel here.
  static Result<std::unique_ptr<Differentiator>> Make(const ModelConfig& config, const Recipe& recipe,
                                                      Parameters& parameters, ThreadPool& threads,
                                                      DifferentiatorOptions options = {});
  virtual ~Differentiator() = default;

  // In a quantised recipe, step sizes that are 0 are found by the first of these calls from its batch, and written to
  // the parameters: ranks begin with an Evaluate of the same batch.

  // The loss alone, without distillation. Refused: tokens or targets out of range, a length beyond the model's
  // positions, memory refused (with the bytes).
  virtual Result<Loss> Evaluate(const Batch& batch) = 0;
  // The loss, and gradients += scale × ∂nats/∂parameter. `ready` may be empty. A loss that is not finite is an error
  // that names the first operator and layer whose output was not finite.
  virtual Result<Loss> Accumulate(const Batch& batch, float scale, const GradientsReady& ready) = 0;
  // Logits [sequences × length][vocab] of a small batch; for tests and distillation.
  virtual Result<std::vector<float>> Logits(const Batch& batch) = 0;

  // Adds distillation (SiLQ): loss = (1 − weight) × cross-entropy + weight × T² × KL(teacher ‖ student) at temperature
  // T (distillation.h), whose value Accumulate returns. The teacher has the same vocabulary and outlives this one.
  // Refused: vocabularies that differ, a weight outside 0 to 1, a temperature that is not positive.
  virtual Status DistillFrom(Differentiator& teacher, float weight, float temperature) = 0;

  virtual int64_t activation_bytes() const = 0;  // held for the largest batch so far
};

}  // namespace lodestone
