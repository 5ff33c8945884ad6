// What an instruction-set file exports for training beside KernelTable: attention over whole sequences with its
// backward, and the backward of the row operators. Plain functions over plain data, as kernel_table.h says and for its
// reasons: no inline function, no template.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/kernel_table.h"

namespace lodestone::kernels {

// Causal softmax attention of one sequence and one KV head with the `group` query heads that share it:
//   s_ij = scale × (q_i · k_j) for i − window < j ≤ i;  p_i = softmax(s_i);  o_i = Σ_j p_ij v_j
// in blocks with a running maximum, so memory is linear in the length (M. Rabe and C. Staats 2021; T. Dao,
// FlashAttention-2, 2023). `lse` keeps log Σ_j exp s_ij, from which the backward makes p again. The bits of a row
// depend on the positions that it sees alone. What is not finite in q, k or v makes the rows that see it NaN or
// infinite, and may reach others within its blocks of 64 positions.
struct SequenceAttention {
  int32_t length = 0;  // positions 0 … length − 1
  int32_t group = 0, head_dim = 0;
  int32_t window = 0;        // 0: no bound
  float scale = 1;           // positive
  bool bf16 = false;         // q, k, v, p and the gradients are rounded to bf16 before every product
  const float* q = nullptr;  // [length][q_stride], `group` heads of head_dim side by side
  const float* k = nullptr;  // [length][kv_stride], one head
  const float* v = nullptr;
  int64_t q_stride = 0, kv_stride = 0;
  float* out = nullptr;  // [length][q_stride]; null in the forward: `lse` alone
  float* lse = nullptr;  // [group][length]

  // Quantised probabilities (LSQ), where p_step > 0: p̂ = p_step × clamp(round(p / p_step), 0, p_max) meets v in place
  // of p. Then only the backward is computed here (the forward is the integer kernel's, and `lse` that of a forward
  // without `out`); it does not read `out`, and sums ∂L/∂p_step into *p_step_gradient (f64), unscaled by LSQ's gradient
  // scale.
  float p_step = 0, p_max = 0;
};

struct SequenceAttentionGradients {
  const float* out_gradient = nullptr;                 // [length][q_stride]
  float* q_gradient = nullptr;                         // [length][q_stride], overwritten
  float *k_gradient = nullptr, *v_gradient = nullptr;  // [length][kv_stride], overwritten
  double* p_step_gradient = nullptr;                   // added to; may be null unless p_step > 0
};

// One row of the norms. `x` is the forward's input; dx is overwritten (or added to); weight and bias gradients are
// added to f32 sums that the caller owns (one a thread block, merged in a fixed order).
struct NormBackwardArgs {
  const float* x;
  const float* dy;
  const float* weight;  // [n]
  float* dx;            // [n]
  float* dweight;       // [n], added to
  float* dbias;         // [n], added to; null for RMSNorm
  float eps;
  int32_t n;
  bool layer_norm;
  bool accumulate;  // dx += instead of dx =
};

// dgate and dup of out = act(gate) × up (up null: out = act(gate)). Outputs may be the inputs' memory.
struct GateBackwardArgs {
  const float *gate, *up, *dout;
  float *dgate, *dup;
  int32_t n;
  Activation act;
};

// One row of fused softmax cross-entropy, in place: logits become gradient_scale × (softmax − onehot(target)). Returns
// the loss in nats, −log softmax[target]; NaN, as is then the whole row, where a logit is not finite.
using CrossEntropyFn = double (*)(float* logits, int32_t n, int32_t target, float gradient_scale);

// AdamW (I. Loshchilov and F. Hutter 2019, algorithm 2) on n consecutive values.
struct AdamWArgs {
  float* value;
  const float* gradient;
  float *first, *second;  // moments
  int64_t n;
  float gradient_scale;  // of clipping
  float rate, beta1, beta2, eps, weight_decay;
  float correction1, correction2;  // 1 / (1 − β^t)
};

// LSQ's backward of n values with one step (S. Esser et al., Learned step size quantization, ICLR 2020, equations 3
// and 5): v = x / step; inside (−max, max) dx = dy and ∂/∂step = round(v) − v, outside dx = 0 and ±max (`low` =
// −max_code, or 0 for unsigned codes). Returns Σ dy × ∂/∂step in f64; with a step that is no positive normal number,
// whose codes are all 0, dx = 0 and the sum is 0. dx may be dy.
struct LsqBackwardArgs {
  const float *x, *dy;
  float* dx;
  int64_t n;
  float step, low, high;
};

struct TrainingTable {
  const char* isa;
  // Floats of scratch that the two attention functions need.
  size_t (*attention_scratch)(const SequenceAttention&);
  void (*attention_forward)(const SequenceAttention&, float* scratch);
  void (*attention_backward)(const SequenceAttention&, const SequenceAttentionGradients&, float* scratch);
  void (*norm_backward)(const NormBackwardArgs&);
  void (*gate_backward)(const GateBackwardArgs&);
  CrossEntropyFn cross_entropy;
  void (*adamw)(const AdamWArgs&);
  double (*lsq_backward)(const LsqBackwardArgs&);
  // Rotates gradients back: the transpose of KernelTable::rope with the same arguments.
  void (*rope_backward)(const RopeArgs&);
  double (*sum_of_squares)(const float* x, int64_t n);  // f64
};

// The table of the instruction set that kernels/dispatch.h selects (LODESTONE_ISA or the best). All have equal bits,
// but for attention in bf16 on AMX, whose tiles add in an order of their own; the rest of AMX's table is AVX-512's.
const TrainingTable& TrainingTableFor(const KernelTable& table);

}  // namespace lodestone::kernels
