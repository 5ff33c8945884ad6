// AdamW over the flat parameter buffer, with the learning-rate schedule and gradient clipping.
#pragma once

#include <cstdint>
#include <span>

#include "base/status.h"
#include "host/thread_pool.h"
#include "learn/parameters.h"
#include "numerics/aligned_buffer.h"

namespace lodestone {

struct OptimizerSettings {
  double learning_rate = 3e-4;
  double beta1 = 0.9, beta2 = 0.95, eps = 1e-8;
  double weight_decay = 0.1;  // of matrices alone: vectors (norms, biases) and step sizes never decay
  double clip_norm = 1.0;     // largest norm of the whole gradient; 0: not clipped
  // Linear warm-up, then half a cosine down to `final_fraction` of the rate at the last step (I. Loshchilov and F.
  // Hutter, SGDR, 2017), or constant.
  int64_t warmup_steps = 0;
  bool cosine = true;
  double final_fraction = 0.1;
  // Rate of activation step sizes for the first so many steps, as the NorthPole paper warms them up (HPEC 2024): × 200
  // for 250.
  double step_rate_factor = 1;
  int64_t step_rate_steps = 0;
};

// A step size moves in proportion to itself: Adam's updates have the size of the rate whatever they change, whereas
// step sizes lie between 0.001 (of weights) and 1 (of activations) and beyond.
//
// A step size keeps at least this fraction of itself in one update, and does not shrink below kLeastStep: it stays
// positive whatever its rate. Codes of steps that small stand for nothing beside values of order one, and one update
// brings them back; without the second bound the steps of a channel that died would halve until they were denormal.
inline constexpr float kLeastStepFraction = 0.5F;
inline constexpr float kLeastStep = 0x1p-20F;

// The rate of step `step` (from 0) of `steps`.
double LearningRate(const OptimizerSettings& settings, int64_t step, int64_t steps);

class AdamW {
 public:
  // Both moments zero. kInfeasible, with the bytes, where the memory is refused.
  static Result<AdamW> Make(const Parameters& parameters, const OptimizerSettings& settings);

  struct Report {
    double gradient_norm = 0;  // before clipping
    double learning_rate = 0;
  };
  // One update from gradients × gradient_scale; gradients are left as they are. A norm that is not finite changes
  // nothing and is an error.
  Result<Report> Step(Parameters& parameters, int64_t step, int64_t steps, double gradient_scale, ThreadPool& threads);

  std::span<float> first_moments();
  std::span<float> second_moments();

 private:
  OptimizerSettings settings_;
  AlignedBuffer first_, second_;
  int64_t size_ = 0;
};

}  // namespace lodestone
