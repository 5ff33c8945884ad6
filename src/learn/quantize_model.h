// A model's weights as codes: which tensors a recipe stores, and the methods that choose their codes.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "host/thread_pool.h"
#include "model/config.h"
#include "model/packed_checkpoint.h"
#include "model/recipe.h"
#include "model/weight_source.h"
#include "numerics/packed_matrix.h"

namespace lodestone {

enum class QuantizeMethod {
  kRtn,         // to the nearest code
  kGptq,        // a column at a time, the error pushed into the columns that follow (Frantar et al., 2022)
  kRotate,      // to the nearest code after folding norms and Hadamard rotations into the weights
  kRotateGptq,  // both
};
// "rtn", "gptq", "rotate", "rotate+gptq"; anything else lists them.
Result<QuantizeMethod> ParseQuantizeMethod(std::string_view text);
std::string_view ToString(QuantizeMethod method);
// Whether the method looks at text.
bool NeedsCalibration(QuantizeMethod method);

// What a recipe stores of a model, read from its program. Step sizes are among the vectors where scales are static.
Result<StoredTensors> TensorsOf(const ModelConfig& config, const Recipe& recipe);

struct QuantizedMatrix {
  WeightId id;
  const PackedMatrix& matrix;
  double relative_error;  // ‖W − Ŵ‖ / ‖W‖ in the Frobenius norm; W after rotation where there is one
};

// Takes the tensors of a quantised model as they are made, so that never more than a few are in memory. Called by one
// thread: Begin, then every tensor of TensorsOf(config, recipe) once, in any order.
class QuantizedSink {
 public:
  virtual ~QuantizedSink() = default;
  // `config` is the model as it is stored: rotation unties the output layer.
  virtual Status Begin(const ModelConfig& config) = 0;
  virtual Status Add(const QuantizedMatrix& matrix) = 0;
  virtual Status Add(const WeightId& id, std::span<const float> vector) = 0;
};

// Quantises the model that `source` holds. `tokens` calibrate (ids, one sequence): read by gptq, and by rotations with
// a static recipe, since step sizes belong to the coordinates in which they were found. Without rotation, step sizes
// that a static recipe needs must be in `source`. The codes do not depend on the number of threads. rtn gives the very
// codes that loading `source` with `recipe` would.
Status QuantizeModel(const ModelConfig& config, const Recipe& recipe, QuantizeMethod method, const WeightSource& source,
                     std::span<const int32_t> tokens, ThreadPool& threads, QuantizedSink& sink);

// The rtn part on its own, for a source whose rows are what is to be rounded (the original's, or rotated ones).
Status RoundModel(const ModelConfig& config, const Recipe& recipe, const WeightSource& source, ThreadPool& threads,
                  QuantizedSink& sink);
// ‖W − Ŵ‖ / ‖W‖ of a packed matrix against the rows that it stands for; 0 for a zero matrix. f64 sums in order.
Result<double> RelativeError(const PackedMatrix& matrix, const RowReader& read_row, ThreadPool& threads);

}  // namespace lodestone
