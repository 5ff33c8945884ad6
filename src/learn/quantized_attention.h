// Attention of a recipe with static integer Q, K, V and P in training: the executor's kernel over whole sequences, and
// its backward.
//
//   letters: rows sequences × length, H query heads, G KV heads, d head_dim. Matrices are row-major.
#pragma once

#include <cstdint>
#include <span>

#include "host/thread_pool.h"
#include "kernels/kernel_table.h"
#include "kernels/training_table.h"
#include "numerics/format.h"

namespace lodestone {

struct QuantizedAttention {
  int sequences = 0, length = 0;  // each sequence from position 0
  int heads = 0, kv_heads = 0, head_dim = 0;
  int window = 0;  // 0: none
  float scale = 1;
  Code query = Code::kInt8, kv = Code::kInt8, probability = Code::kUint8;
  float query_step = 0, key_step = 0, value_step = 0, probability_step = 0;

  int64_t rows() const { return int64_t{sequences} * length; }
  int64_t q_width() const { return int64_t{heads} * head_dim; }
  int64_t kv_width() const { return int64_t{kv_heads} * head_dim; }
};

// out[rows][H d] from codes q[rows][q_stride] (H d of them used) and f32 k, v [rows][G d], which are rounded into KV
// blocks as StoreKv does.
void QuantizedAttentionForward(const kernels::KernelTable& kernels, ThreadPool& threads, const QuantizedAttention& a,
                               const int8_t* q, int64_t q_stride, const float* k, const float* v, float* out);

// Where P's step begins: the one that loses least in squares on the probabilities of up to 64 rows of a batch, evenly
// spread, each of the next head, as they are before rounding. (1 / max_code, which maps [0, 1] onto the codes, would
// round a head that looks at more than 2 max_code positions evenly to nothing.) q̂[rows][H d] and k̂[rows][G d] are what
// the codes stand for.
float InitialProbabilityStep(const QuantizedAttention& a, const float* q_values, const float* k_values);

struct QuantizedAttentionGradients {
  const float* out;         // [rows][H d], ∂L/∂out
  float *q, *k, *v;         // [rows][H d], [rows][G d] twice: ∂L/∂q̂, ∂L/∂k̂, ∂L/∂v̂, overwritten
  float* probability_step;  // added to, scaled for LSQ with N = H × length
};
// From the values q̂, k̂, v̂ that the codes stand for. P is computed again in f32 from them.
void QuantizedAttentionBackward(const kernels::TrainingTable& kernels, ThreadPool& threads, const QuantizedAttention& a,
                                const float* q_values, const float* k_values, const float* v_values,
                                const QuantizedAttentionGradients& gradients);

}  // namespace lodestone
