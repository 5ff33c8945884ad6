// The operators of the list over whole sequences in floating point, forward and backward, except the linear layers,
// which are kernels::LinearProducts' own.
//
//   matrices are dense and row-major: [rows][width], rows = sequences × length, in the order of the batch
//
// Every sum over rows has an order of its own that the number of threads does not change.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "executor/rope_table.h"
#include "host/thread_pool.h"
#include "kernels/kernel_table.h"
#include "kernels/training_table.h"
#include "numerics/aligned_buffer.h"
#include "program/program.h"

namespace lodestone {

struct BatchShape {
  int sequences = 0, length = 0;

  int64_t rows() const { return int64_t{sequences} * length; }
};

struct AttentionValues {
  const float *q, *k, *v;  // [rows][heads × head_dim], [rows][kv_heads × head_dim] twice
  float* out;              // [rows][heads × head_dim]
  float* lse;              // [sequences][heads][length]
};

struct AttentionGradients {
  const float* out;
  float *q, *k, *v;  // overwritten
};

class Operators {
 public:
  // All outlive this.
  Operators(const kernels::KernelTable& kernels, const kernels::TrainingTable& training, ThreadPool& threads);

  // `tokens` of every row; `table` [vocab][n] and `positions` [max_positions][n] (null where there are none) are
  // rounded to the code of the tables as they are read.
  void Embed(const lodestone::Embed& op, BatchShape shape, std::span<const int32_t> tokens, const float* table,
             const float* positions, float* out);
  // Adds to both gradients.
  void EmbedBackward(const lodestone::Embed& op, BatchShape shape, std::span<const int32_t> tokens,
                     const float* out_gradient, float* table_gradient, float* positions_gradient);

  void Norm(const lodestone::Norm& op, BatchShape shape, const float* x, const float* weight, const float* bias,
            float* y);
  // Adds to the gradients of weight and bias (null for RMSNorm); overwrites dx or adds to it.
  void NormBackward(const lodestone::Norm& op, BatchShape shape, const float* x, const float* dy, const float* weight,
                    bool accumulate, float* dx, float* weight_gradient, float* bias_gradient);

  void Rotate(const lodestone::Rotate& op, BatchShape shape, const float* x, float* y);
  void RotateBackward(const lodestone::Rotate& op, BatchShape shape, const float* dy, float* dx);

  void Attend(const lodestone::Attend& op, BatchShape shape, const AttentionValues& values);
  void AttendBackward(const lodestone::Attend& op, BatchShape shape, const AttentionValues& values,
                      const AttentionGradients& gradients);

  // `up` and `dup` are null where the operator has no second input.
  void Gate(const lodestone::Gate& op, BatchShape shape, const float* gate, const float* up, float* out);
  void GateBackward(const lodestone::Gate& op, BatchShape shape, const float* gate, const float* up,
                    const float* out_gradient, float* gate_gradient, float* up_gradient);

  void Add(const lodestone::Add& op, BatchShape shape, const float* x, const float* stream, float* out);
  // The gradient of the stream passes through; dx = multiplier × stream_gradient.
  void AddBackward(const lodestone::Add& op, BatchShape shape, const float* stream_gradient, float* dx);

  int64_t scratch_bytes() const;

 private:
  // Cosines and sines of positions [0, length).
  const RopeTable& TableOf(const Rope& rope, int length);
  kernels::SequenceAttention SequenceOf(const lodestone::Attend& op, BatchShape shape, const AttentionValues& values,
                                        int64_t index) const;
  float* AttentionScratch(const kernels::SequenceAttention& sequence, int thread);

  const kernels::KernelTable& kernels_;
  const kernels::TrainingTable& training_;
  ThreadPool& threads_;
  std::vector<RopeTable> ropes_;                  // one a distinct rotary embedding
  std::vector<float> partials_;                   // of norm weight gradients
  std::vector<AlignedBuffer> attention_scratch_;  // one a thread
};

}  // namespace lodestone
