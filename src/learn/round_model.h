// One tensor at a time from a source to a sink: rounded to nearest, or as it is.
#pragma once

#include "base/status.h"
#include "host/thread_pool.h"
#include "learn/quantize_model.h"
#include "model/weight_source.h"
#include "numerics/packed_matrix.h"

namespace lodestone {

// The matrix as the loader would pack it, panels shared among the threads.
Result<PackedMatrix> RoundMatrix(const StoredTensors::Matrix& matrix, const WeightSource& source, ThreadPool& threads);
// Hands `packed`, which stands for `id`, to the sink with its error against `source`.
Status AddMatrix(const WeightId& id, const PackedMatrix& packed, const WeightSource& source, ThreadPool& threads,
                 QuantizedSink& sink);
// Hands the vectors to the sink; refuses elements that are not finite.
Status AddVectors(const ModelConfig& config, std::span<const WeightId> ids, const WeightSource& source,
                  QuantizedSink& sink);

}  // namespace lodestone
