// What training changes: every tensor of a model and, for a quantised recipe, every step size, as f32 master values
// with their gradients in two flat buffers.
//
// The order is that of computation: embedding, positions, then each layer (its tensors, its activation steps, its
// weight steps), the final norm, the output layer and its steps. A backward pass therefore finishes gradients from the
// end of the buffer towards its beginning, which is what lets data parallel ranks average them while it runs; a tied
// embedding is finished last.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/status.h"
#include "model/config.h"
#include "model/recipe.h"
#include "model/weight_source.h"
#include "numerics/aligned_buffer.h"

namespace lodestone {

enum class ParameterRole : uint8_t {
  kTensor,          // a tensor of the model, shaped as ShapeOf
  kActivationStep,  // [1][1], the step of a static quantiser (IsStep)
  kWeightSteps,     // [1][rows of the tensor], a step a channel of an integer weight
  kOutputSteps,     // [1][vocab], of the output layer where it is stored in a format of its own (tied or not)
};

struct Parameter {
  WeightId id;
  ParameterRole role = ParameterRole::kTensor;
  int64_t rows = 0, columns = 0;
  int64_t offset = 0;  // in floats, into both buffers; a multiple of 16

  int64_t count() const { return rows * columns; }
};

class Parameters {
 public:
  // All zero. kInfeasible, with the bytes of each buffer, where the memory is refused or larger than the machine's.
  // Refused by name: scales that cannot be trained (groups), 2-bit weights.
  static Result<Parameters> Make(const ModelConfig& config, const Recipe& recipe);

  std::span<const Parameter> list() const { return list_; }
  // Null where the model or the recipe has none.
  const Parameter* Find(const WeightId& id, ParameterRole role) const;

  std::span<float> values(const Parameter& p);
  std::span<const float> values(const Parameter& p) const;
  std::span<float> gradients(const Parameter& p);
  std::span<float> all_values();
  std::span<const float> all_values() const;
  std::span<float> all_gradients();
  void ZeroGradients();

  // Reads the tensors (and, where the source has them, the activation steps) of `source`. What a source has no step for
  // stays 0: LSQ takes 0 as "not yet initialised". Not finite is refused by name.
  Status Load(const WeightSource& source);

 private:
  std::vector<Parameter> list_;
  AlignedBuffer values_, gradients_;
  int64_t size_ = 0;  // floats
};

// The current values as a source: for the checkpoint writers, and for an executor. `parameters` outlives it. Tensors
// and activation steps; in integer formats ReadPanels gives the codes at the trained steps (learn/quantized_linear.h).
std::unique_ptr<WeightSource> SourceOf(const Parameters& parameters, const ModelConfig& config);

}  // namespace lodestone
