// Linear layers of a quantised recipe in training: weights rounded at trained steps, products by the integer kernels.
#pragma once

#include <cstdint>
#include <span>

#include "base/status.h"
#include "host/thread_pool.h"
#include "kernels/kernel_table.h"
#include "kernels/training_table.h"
#include "numerics/packed_matrix.h"

namespace lodestone {

// A step a channel that starts the LSQ of a weight matrix w[n][k]: InitialStep of its row.
void InitialWeightSteps(std::span<const float> w, int n, int k, int max_code, std::span<float> steps,
                        ThreadPool& threads);

// Codes of one row of weights at its trained step: clamp(round(w / step), ±max_code), with scale = step. A step that is
// not positive, such as 0 before it is initialised, gives zero codes.
void RoundRowAt(float step, int max_code, std::span<const float> row, QuantizedRow& out);

// One weight matrix as the engine holds it, made anew from the master values after every update.
class QuantizedWeight {
 public:
  // int8·channel or int4·channel.
  static Result<QuantizedWeight> Make(const Format& format, int n, int k);

  // Packs the codes of w[n][k] at steps[n], and the steps as their scales. Weights that are not finite and steps that
  // are not positive are refused, with the channel.
  Status Refresh(std::span<const float> w, std::span<const float> steps, ThreadPool& threads);
  const PackedMatrix& packed() const { return packed_; }

  // ŵ = code × step, values[n][k]: what the backward multiplies with.
  void Values(std::span<const float> w, std::span<const float> steps, std::span<float> values,
              ThreadPool& threads) const;
  // dw[n][k] and dsteps[n] += from the gradient `dvalues` of ŵ, by LSQ with gradient scale 1 / √(k max_code).
  void Backward(const kernels::TrainingTable& kernels, std::span<const float> w, std::span<const float> steps,
                std::span<float> dvalues, std::span<float> dw, std::span<float> dsteps, ThreadPool& threads) const;

 private:
  explicit QuantizedWeight(PackedMatrix packed) : packed_(std::move(packed)) {}

  PackedMatrix packed_;
};

// y[rows][y_stride] of integer codes x[rows][k_padded] at the static step x_step: the very call that the executor
// makes.
void QuantizedForward(const kernels::KernelTable& kernels, ThreadPool& threads, const PackedMatrix& weight,
                      const int8_t* x, float x_step, int64_t rows, const float* bias, float multiplier, float* y,
                      int64_t y_stride);

}  // namespace lodestone
