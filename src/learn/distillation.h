// Distillation from a full-precision teacher, as SiLQ trains quantised models (S. Esser et al., SiLQ: simple large
// language model quantization-aware training, 2025; G. Hinton et al., Distilling the knowledge in a neural network,
// 2015).
//
//   loss = (1 − weight) × cross-entropy + weight × T² × KL(p ‖ q),  p = softmax(teacher / T), q = softmax(student / T)
#pragma once

#include <cstdint>
#include <functional>

#include "kernels/training_table.h"

namespace lodestone {

struct Distillation {
  // Logits of rows [begin, begin + rows) of the batch at hand.
  std::function<void(int64_t begin, int64_t rows, float* logits)> teacher;
  float weight = 0, temperature = 1;
};

// One row of n logits, which become gradient_scale × ∂loss/∂logits. Returns the loss in nats; NaN where a logit is not
// finite. `teacher` is not kept; `scratch` has 2 n values.
double DistilledCrossEntropy(const kernels::TrainingTable& kernels, float weight, float temperature, float* logits,
                             float* teacher, int32_t n, int32_t target, float gradient_scale, float* scratch);

}  // namespace lodestone
