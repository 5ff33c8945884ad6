// An estimate as a run record: the measures of the NorthPole paper and of serving, each with the range of the factors.
#pragma once

#include <string>
#include <vector>

#include "plan/machine_estimate.h"
#include "report/published_rows.h"
#include "report/run_record.h"

namespace lodestone {

// One question, answered.
struct EstimatedRun {
  ModelConfig config;
  Recipe recipe;
  Deployment deployment;
  InferenceLoad load;
  InferenceEstimate estimate;
};

// Measures of MeasuresOf (report/measure.h), then total_throughput_tokens_per_s, user_throughput_tokens_per_s,
// usd_per_million_tokens; ttft_s is of the whole batch, itl_s the mean gap. Provenance: estimated.
RunRecord RecordOf(const EstimatedRun& run);

// Figures of the machine and factors that no source gives, which the estimate rests on.
std::vector<Assumption> AssumptionsOf(const Deployment& deployment);

// A published row of the same case and what was estimated for its metric.
struct PublishedBeside {
  const PublishedRow* row = nullptr;
  Range estimated;
};
// Rows of the same machine, devices, shape, recipe, stack, method, batch and lengths. A stack that is not named takes
// those of all.
Result<std::vector<PublishedBeside>> PublishedRowsBeside(const EstimatedRun& run);

}  // namespace lodestone
