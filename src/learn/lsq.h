// Learned step size quantisation of activations (S. Esser et al., Learned step size quantization, ICLR 2020): a value
// stands for x̂ = step × clamp(round(x / step), low, high), and the step is a parameter.
//
//   backward   ∂x̂/∂x = 1 inside, 0 outside (equation 5)
//              ∂x̂/∂step = round(x / step) − x / step inside, low or high outside (equation 3)
//              × 1 / √(N high), so that a step moves at the pace of the weights (section 2.2)
//
// N is the number of values of one row, as in the paper (features of a layer), not of a batch: so the gradient of two
// micro-batches is the sum of theirs, and ranks may divide a batch as they like.
#pragma once

#include <cstdint>
#include <span>

#include "host/thread_pool.h"
#include "kernels/kernel_table.h"
#include "kernels/training_table.h"
#include "numerics/format.h"

namespace lodestone {

struct LsqRange {
  float low = 0, high = 0;  // −max_code or 0, max_code
};
LsqRange LsqRangeOf(Code code);

// The step that loses least in squares on x, Σ (x − x̂)²: warm start from a full-precision model. Positive; 1 where x
// is all zeros or too near to them for a step that is a normal number, and where it holds what is not finite. A grid of
// steps below max|x| / high, then S. Lloyd's alternation between codes and the best step for them; of more than 2¹⁶
// values, as many are looked at.
float InitialStep(std::span<const float> x, const LsqRange& range);

// Codes of x[rows][n] at `step`, by the executor's kernel; codes [rows][n_padded].
void LsqForward(const kernels::KernelTable& kernels, ThreadPool& threads, const float* x, int64_t x_stride,
                int64_t rows, int n, int n_padded, float step, float max_code, int8_t* codes);
// The values x̂ that those codes stand for.
void LsqValues(const kernels::KernelTable& kernels, ThreadPool& threads, const float* x, int64_t x_stride, int64_t rows,
               int n, float step, float max_code, float* values, int64_t values_stride);
// dx from dy = ∂L/∂x̂ (may be the same memory), and the step's gradient. Sums over rows in order.
float LsqBackward(const kernels::TrainingTable& kernels, ThreadPool& threads, const float* x, int64_t x_stride,
                  const float* dy, int64_t dy_stride, float* dx, int64_t dx_stride, int64_t rows, int n, float step,
                  const LsqRange& range);
// 1 / √(n high).
float LsqGradientScale(int64_t n, float high);

}  // namespace lodestone
