// Runs one pass through executors: section after section on every rank of a step, gathering columns between them.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "executor/executor.h"

namespace lodestone {

// Where a stage runs: an executor and the stage's number on it.
struct StageSeat {
  Executor* executor = nullptr;
  int local = 0;
  std::string_view label;
};

// [rows][w0], [rows][w1], … → [rows][w0 + w1 + …]. Refused: parts with different rows, or data that is not rows ×
// width.
Result<Tensor> GatherColumns(std::vector<Tensor> parts);

// One step of the chain: the seats of its ranks. `gather_output`: their results are column parts of one tensor (the
// logits); otherwise all ranks hold the same residual stream.
Result<Tensor> RunStep(std::span<const StageSeat> ranks, const Pass& pass, Tensor in, bool gather_output);

}  // namespace lodestone
