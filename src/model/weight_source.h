// Where weights come from, tensor by tensor and row by row: a checkpoint, or a seed.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"
#include "model/config.h"
#include "numerics/packed_matrix.h"

namespace lodestone {

// What a tensor is for, independent of any checkpoint's names. Matrices are [outputs][inputs]; vectors have one row.
enum class WeightKind : uint8_t {
  kEmbedding,      // [vocab][hidden]
  kPositions,      // [max_positions][hidden], learned
  kAttentionNorm,  // [hidden]
  kAttentionNormBias,
  kQ,  // [heads × head_dim][hidden]
  kK,  // [kv_heads × head_dim][hidden]
  kV,
  kQBias,  // [heads × head_dim]
  kKBias,
  kVBias,
  kQNorm,  // [head_dim]
  kKNorm,
  kO,  // [hidden][heads × head_dim]
  kOBias,
  kMlpNorm,  // [hidden]
  kMlpNormBias,
  kGate,  // [ffn][hidden]; of experts one after the other, [experts × ffn][hidden]
  kUp,
  kGateBias,  // [ffn]
  kUpBias,
  kDown,  // [hidden][ffn]; of experts [experts × hidden][ffn]
  kDownBias,
  kFinalNorm,  // [hidden]
  kFinalNormBias,
  kOutput,  // [vocab][hidden]; the embedding where tied
  kRouter,  // [experts][hidden], of a layer; behind the others, since random weights are keyed by the kind
  // Step sizes of static quantisers, [1]: trained by LSQ or calibrated. A source that has none answers kNotFound.
  kAttentionInputStep,
  kQueryStep,
  kKeyStep,
  kValueStep,
  kProbabilityStep,
  kAttendedStep,
  kMlpInputStep,
  kDownInputStep,
  kOutputInputStep,
};

struct WeightId {
  WeightKind kind = WeightKind::kEmbedding;
  int layer = -1;  // −1: not in a layer

  friend bool operator==(const WeightId&, const WeightId&) = default;
};
std::string ToString(const WeightId& id);  // "layer 3 q_proj"

struct WeightShape {
  int64_t rows = 0, columns = 0;
};
// The shape that `id` has in this model; rows 0 if the model has no such tensor (an absent bias, a layer out of range).
WeightShape ShapeOf(const ModelConfig& config, const WeightId& id);

// Every tensor of the model once, in the order of computation. A tied output layer is not listed: it is the embedding.
std::vector<WeightId> AllWeights(const ModelConfig& config);
// The step sizes that static scales of this model would need; they are no parameters of the model.
std::vector<WeightId> AllSteps(const ModelConfig& config);
bool IsStep(WeightKind kind);

// Thread-safe for concurrent reads.
class WeightSource {
 public:
  virtual ~WeightSource() = default;
  // Row `row` of the tensor as f32; `out` has the tensor's columns. Refused, by name: a tensor that the model does not
  // have, a row out of range, a span of another size.
  virtual Status ReadRow(const WeightId& id, int64_t row, std::span<float> out) const = 0;
  // Fills panels [begin, end) of `matrix`, made by AllocatePacked for rows [first_row, first_row + matrix.n) of the
  // tensor: rounded from the rows, unless the source holds the tensor packed in that very format; then its codes. A
  // source that stands before another passes this on too, or stored codes would be rounded a second time.
  virtual Status ReadPanels(const WeightId& id, int64_t first_row, int begin, int end, PackedMatrix& matrix) const;
  virtual std::string Describe() const = 0;  // "stories260k (model.safetensors)", "random weights, seed 1"

 protected:
  // Rows [begin, end) have been packed: what a source mapped for them need not stay resident.
  virtual void Release(const WeightId& /*id*/, int64_t /*begin*/, int64_t /*end*/) const {}
};

// Every tensor that `config` needs is present with the right shape and dtype when this returns; the files stay mapped.
// Refused by name: a tensor that `config` does not call for (a bias it does not declare, a layer too many), since
// leaving it out changes the arithmetic. Ignored: buffers that are computed (rotary frequencies, causal masks), and an
// output layer beside tied embeddings, which then is the embedding.
//
// Step sizes are optional tensors of shape [1], positive, named `lodestone.layers.3.query_step` and
// `lodestone.output_input_step` (ToString's words, joined by underscores); no other program writes or reads them.
//
// A directory that `lodestone quantize` wrote is opened by OpenPackedCheckpoint (packed_checkpoint.h). Otherwise pages
// of the mapped files are given back as ReadPanels has used them, so that a checkpoint is not resident beside its
// codes.
//
// GPT-2 stores its matrices as [inputs][outputs]: a row is read with a stride of the outputs, so reading rows in order
// touches the same cache lines 16 (f32) to 32 (f16) times; fast enough for models of that family (1.5 B).
Result<std::unique_ptr<WeightSource>> OpenCheckpoint(const std::string& directory, const ModelConfig& config);

// Nearly Gaussian weights (mean 0, std 0.02 for matrices, norms 1, biases 0) from a counter-based generator: any row
// can be made in any order, so nothing is held. A value is the centred sum of the four 16-bit words of one 64-bit hash,
// an Irwin-Hall distribution: kurtosis 2.7 instead of 3, no value beyond 3.47 std. Only integer arithmetic and one
// rounding, so the same seed gives the same model on every machine. A tied output layer equals the embedding.
std::unique_ptr<WeightSource> RandomWeights(const ModelConfig& config, uint64_t seed);

}  // namespace lodestone
