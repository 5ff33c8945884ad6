// The weights of one stage, read from a source and packed, bound to the operators that use them.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "base/status.h"
#include "host/thread_pool.h"
#include "model/weight_source.h"
#include "numerics/packed_matrix.h"
#include "program/program.h"

namespace lodestone {

// One operator of one layer with what it needs at hand. The operator itself lives in the stage's program.
struct BoundOp {
  const Op* op = nullptr;
  int layer = -1;
  uint16_t fusion = 0;
  int64_t row_bytes_read = 0;                     // of registers, a row
  int kv_layer = -1;                              // of StoreKv and Attend: index among the layers of the stage
  std::shared_ptr<const PackedMatrix> matrix;     // Linear; Embed: the table
  std::shared_ptr<const PackedMatrix> positions;  // Embed
  std::vector<float> weight, bias;                // Norm; bias of Linear too
  float step = 0, value_step = 0;  // static quantisers: Quantize, StoreKv (key, value), Attend (probability)
};

struct StageWeights {
  std::vector<std::vector<BoundOp>> stages;  // operators of each stage, layers unrolled
  int64_t resident_bytes = 0;
};

// Reads and packs what the stages need, the panels of a matrix in parallel. A matrix that several operators want in one
// format (a tied table) is packed and held once. Step sizes are not asked for when `calibrating`. The stages outlive
// the result.
Result<StageWeights> LoadWeights(std::span<const Stage> stages, const WeightSource& source, bool calibrating,
                                 ThreadPool& threads);

}  // namespace lodestone
