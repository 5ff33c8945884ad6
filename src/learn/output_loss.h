// The output layer and its loss as one: logits of a few rows at a time become their gradient and are used at once, so
// that logits, the largest matrix of a step, are never held whole.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/status.h"
#include "host/thread_pool.h"
#include "kernels/kernel_table.h"
#include "kernels/linear_products.h"
#include "kernels/training_table.h"
#include "learn/differentiator.h"
#include "learn/distillation.h"
#include "numerics/aligned_buffer.h"
#include "numerics/packed_matrix.h"

namespace lodestone {

// An integer output layer as the engine computes it.
struct QuantizedOutput {
  const PackedMatrix* weight = nullptr;  // null: a layer in floating point
  float step = 0, max_code = 0;          // of x
};

// logits[rows][n] = multiplier × (x[rows][k] · weight[n][k]ᵀ) + bias. Of integers x and weight are the values that the
// codes stand for.
struct OutputLayer {
  kernels::LinearShape shape;
  float multiplier = 1;
  const float *x = nullptr, *weight = nullptr, *bias = nullptr;
  QuantizedOutput quantized;
};

struct OutputGradients {
  float scale = 1;          // of the loss
  float* x = nullptr;       // [rows][k], overwritten
  float* weight = nullptr;  // [n][k], added to
  float* bias = nullptr;    // [n] or null, added to
};

class OutputLoss {
 public:
  OutputLoss(const kernels::KernelTable& kernels, const kernels::TrainingTable& training,
             kernels::LinearProducts& products, ThreadPool& threads)
      : kernels_(kernels), training_(training), products_(products), threads_(threads) {}

  // Cross-entropy of softmax(logits) against `targets` [rows] (−1: not counted), mixed with a distillation where that
  // is not null, and where `gradients` is not null, its gradients. A loss that is not finite ends the sum, before the
  // gradients of its rows are added to the weights.
  Result<Loss> Run(const OutputLayer& layer, std::span<const int32_t> targets, const OutputGradients* gradients,
                   const Distillation* distillation);
  // Of rows [begin, begin + rows): logits[rows][n].
  void Logits(const OutputLayer& layer, int64_t begin, int64_t rows, float* logits);

  int64_t bytes() const {
    return static_cast<int64_t>(logits_.size() + teacher_logits_.size() + scratch_.size() + codes_.size());
  }

 private:
  Status Reserve(int64_t chunk, const OutputLayer& layer, const Distillation* distillation);

  const kernels::KernelTable& kernels_;
  const kernels::TrainingTable& training_;
  kernels::LinearProducts& products_;
  ThreadPool& threads_;
  AlignedBuffer logits_, teacher_logits_;  // of one chunk of rows
  AlignedBuffer scratch_;                  // of distillation, 2 n values a thread
  AlignedBuffer codes_;                    // of the rows of integer logits
  std::vector<double> losses_;             // of its rows
};

}  // namespace lodestone
