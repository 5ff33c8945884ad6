// Walks one part after the other: operator by operator forward, and back with the chain rule.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/status.h"
#include "host/thread_pool.h"
#include "kernels/linear_products.h"
#include "learn/activations.h"
#include "learn/operators.h"
#include "learn/output_loss.h"
#include "learn/parameters.h"
#include "learn/parts.h"
#include "learn/quantized_operators.h"

namespace lodestone {

class PartWalker {
 public:
  // All outlive this.
  PartWalker(std::span<const Part> parts, Parameters& parameters, const kernels::KernelTable& kernels,
             const kernels::TrainingTable& training, kernels::LinearProducts& products, ThreadPool& threads);

  // Before each walk: its rows, and whether it goes back too. `tokens` [sequences × length] outlive the walk. Refused:
  // memory, with the bytes.
  Status Begin(BatchShape shape, std::span<const int32_t> tokens, bool backward);

  // Part `p`, the streams of the parts before it being computed. Logits are left to the output layer's caller.
  void Forward(size_t p);
  void ForwardNode(size_t p, size_t n);
  // Adds the gradients of its parameters and turns that of the stream that leaves it into that of the one that enters.
  // All parts behind it are walked back, and the output layer, which is the last operator of the last part, has filled
  // in what `OutputGradientsAt` told.
  void Backward(size_t p);

  // After a walk forward that goes back too or not.
  OutputLayer Output(bool backward);
  OutputGradients OutputGradientsAt(float scale);

  // What node `n` of part `p` has just written, value by value.
  std::vector<std::span<const float>> Outputs(size_t p, size_t n);

  int64_t bytes() const { return activations_.bytes() + operators_.scratch_bytes() + quantized_.bytes(); }

 private:
  void BackwardNode(size_t p, size_t n);
  // Whether a gradient of `value` stands there already, to be added to; from now on it does.
  bool Accumulates(size_t p, int value);
  // The gradient of a value with one reader, which overwrites it.
  float* FreshGradient(size_t p, int value);

  float* Value(size_t p, int value) { return activations_.At(p, parts_[p].tape.values[value]); }
  float* Gradient(size_t p, int value) { return activations_.Gradient(parts_[p].tape.values[value]); }
  const float* Data(const Parameter* p) const { return p == nullptr ? nullptr : parameters_.values(*p).data(); }
  float* GradientOf(const Parameter* p) { return p == nullptr ? nullptr : parameters_.gradients(*p).data(); }
  // The step of the quantiser that made a value.
  float StepOf(size_t p, int value) const;
  QuantizedOperators::AttentionInputs AttentionInputsOf(size_t p, const TapeNode& node);
  kernels::LinearShape ShapeOf(const Linear& op, const Bound& bound) const;

  std::span<const Part> parts_;
  Parameters& parameters_;
  kernels::LinearProducts& products_;
  Operators operators_;
  QuantizedOperators quantized_;
  Activations activations_;
  BatchShape shape_;
  std::span<const int32_t> tokens_;
  bool stream_started_ = false;
  std::vector<bool> started_;  // of the values of the part that is walked back
};

}  // namespace lodestone
