// The operators of the list whose formats are integers, over whole sequences, forward and backward.
//
// Values stand as code × step in f32 (tape.h). The forward turns them back into codes and calls the executor's kernels
// on them; the backward multiplies the values themselves, linear layers in the precision of the residual stream and
// attention in f32, and rounding passes gradients as LSQ defines (lsq.h). Step sizes that are 0 are not yet
// initialised: the first walk forward finds them from what it meets, in the order of the operators, so that each
// quantiser sees values that those before it have rounded.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/status.h"
#include "host/thread_pool.h"
#include "kernels/kernel_table.h"
#include "kernels/linear_products.h"
#include "kernels/training_table.h"
#include "learn/operators.h"
#include "learn/output_loss.h"
#include "learn/parameters.h"
#include "learn/parts.h"
#include "learn/quantized_attention.h"
#include "learn/quantized_linear.h"
#include "numerics/aligned_buffer.h"
#include "program/program.h"

namespace lodestone {

class QuantizedOperators {
 public:
  // All outlive this.
  QuantizedOperators(std::span<const Part> parts, Parameters& parameters, const kernels::KernelTable& kernels,
                     const kernels::TrainingTable& training, kernels::LinearProducts& products, ThreadPool& threads);

  // Before each walk, which goes `backward` too or not: packs the weights as they are now. Refused: memory, weights and
  // step sizes that cannot be packed.
  Status Begin(BatchShape shape, bool backward);

  void Quantize(const lodestone::Quantize& op, const Bound& bound, const float* x, float* values);
  void QuantizeBackward(const lodestone::Quantize& op, const Bound& bound, const float* x, const float* dvalues,
                        float* dx);

  void StoreKv(const lodestone::StoreKv& op, const Bound& bound, const float* k, const float* v, float* k_values,
               float* v_values);
  struct KvGradients {
    const float *k_values, *v_values;
    float *k, *v;
  };
  void StoreKvBackward(const lodestone::StoreKv& op, const Bound& bound, const float* k, const float* v,
                       const KvGradients& gradients);

  // Values of Q, K and V and the steps that made them.
  struct AttentionInputs {
    const float *q, *k, *v;
    float q_step, k_step, v_step;
  };
  void Attend(const lodestone::Attend& op, const Bound& bound, const AttentionInputs& in, float* out);
  void AttendBackward(const lodestone::Attend& op, const Bound& bound, const AttentionInputs& in,
                      const AttentionGradients& gradients);

  // Node `n` of part `p` on values x[rows][k] made at `x_step`.
  void Linear(size_t p, size_t n, const float* x, float x_step, float* y);
  // Overwrites dx or adds to it; adds to the gradients of the weight, its steps and the bias.
  void LinearBackward(size_t p, size_t n, const float* x, const float* dy, bool accumulate, float* dx);

  // The output layer, the last node of the last part: completes `layer`, for a walk that goes `backward` or not; where
  // the gradients of the weight's values go, zeros at first; and passes them on.
  void Output(float x_step, bool backward, OutputLayer& layer);
  float* OutputGradient();
  void FinishOutput();

  int64_t bytes() const;

 private:
  // A linear layer with integer weights.
  struct Weight {
    size_t part = 0, node = 0;
    const lodestone::Linear* op = nullptr;
    const Bound* bound = nullptr;
    std::optional<QuantizedWeight> packed;  // from the first walk on
  };
  const Weight& At(size_t p, size_t n) const;
  std::span<const float> WeightOf(const Weight& weight) const { return parameters_.values(*weight.bound->weight); }
  std::span<const float> StepsOf(const Weight& weight) const { return parameters_.values(*weight.bound->weight_steps); }
  kernels::LinearShape ShapeOf(const Weight& weight) const;
  // In scratch: the values of its codes; zeros for their gradient, and LSQ of what was then added there.
  std::span<const float> ValuesOf(const Weight& weight);
  float* ZeroGradientOf(const Weight& weight);
  void PassToWeight(const Weight& weight);

  float& StepAt(const Parameter* step) { return parameters_.values(*step)[0]; }
  // x̂ of x[rows][n] at `step`, which is found first where it is 0; and back.
  void Round(const float* x, int n, Code code, const Parameter* step, float* values);
  void RoundBackward(const float* x, int n, Code code, const Parameter* step, const float* dvalues, float* dx);
  QuantizedAttention AttentionOf(const lodestone::Attend& op, const Bound& bound, const AttentionInputs& in);
  int8_t* Codes() { return reinterpret_cast<int8_t*>(codes_.data()); }

  Parameters& parameters_;
  const kernels::KernelTable& kernels_;
  const kernels::TrainingTable& training_;
  kernels::LinearProducts& products_;
  ThreadPool& threads_;
  kernels::Precision precision_ = kernels::Precision::kF32;  // of the backward
  std::vector<Weight> weights_;  // in the order of computation: the output layer is the last
  int64_t code_width_ = 0, largest_weight_ = 0;
  BatchShape shape_;
  AlignedBuffer codes_, values_, gradients_;  // of the operator that runs: of its input; of its weight
};

}  // namespace lodestone
