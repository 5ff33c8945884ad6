#include "learn/distillation.h"

namespace lodestone {

double DistilledCrossEntropy(const kernels::TrainingTable& kernels, float weight, float temperature, float* logits,
                             float* teacher, int32_t n, int32_t target, float gradient_scale, float* scratch) {
  // Cross-entropy at gradient scale 1 turns logits into softmax − onehot and returns log Σ exp − logit[target]: it
  // gives p and q too, whose one-hots cancel in q − p. With z and t the logits over T,
  //   KL = Σ p (t − z) + log Σ exp z − log Σ exp t = Σ (p − onehot) (t − z) + (log Σ exp z − z[target]) − (… of t)
  const float inverse = 1 / temperature;
  float* const q = scratch;
  float* const p = scratch + n;
  for (int32_t i = 0; i < n; ++i) {
    q[i] = logits[i] * inverse;
    teacher[i] *= inverse;
    p[i] = teacher[i];
    teacher[i] -= q[i];
  }
  const double q_nats = kernels.cross_entropy(q, n, target, 1);
  const double p_nats = kernels.cross_entropy(p, n, target, 1);
  double divergence = q_nats - p_nats;
  for (int32_t i = 0; i < n; ++i) divergence += double{p[i]} * double{teacher[i]};

  const double nats = kernels.cross_entropy(logits, n, target, (1 - weight) * gradient_scale);
  const float pull = weight * temperature * gradient_scale;
  for (int32_t i = 0; i < n; ++i) logits[i] += pull * (q[i] - p[i]);
  const double square = double{temperature} * double{temperature};
  return (1 - double{weight}) * nats + double{weight} * square * divergence;
}

}  // namespace lodestone
