// Which steps a batch of equal requests takes, by memory alone: how many requests are held together, what their passes
// bring, and how often. Times come later, so that one schedule serves every set of factors.
//
// Requests that memory does not hold together wait for those before them. Continuous batching with paged KV keeps the
// memory full, so that the batch takes batch / N times as long as the N requests that are held, N a real number (the
// fluid limit). Decoding is sampled at a few contexts, each the middle of an equal part of the output, which is exact
// where a step's time is affine in the context.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "plan/deployment.h"
#include "plan/machine_estimate.h"
#include "plan/rank_model.h"

namespace lodestone {

// Rows of a pass of whole prompts at most, unless one prompt is longer.
inline constexpr int64_t kPrefillRows = 8192;

// Passes of equal load through one of the models that a step runs: the model itself (0) or its draft (1).
struct Passes {
  int model = 0;
  Load load;         // of one pass; of one of the groups that share the pipeline
  double count = 0;  // passes; when decoding, steps, each of `groups` passes
  int groups = 1;
  bool prompts = false;  // else a decoding step
};

struct Schedule {
  double concurrent = 0;                // requests held together, N
  double waves = 1;                     // batch / N
  std::vector<Passes> prefill, decode;  // of N requests
  Ledger ledger;
};

// Bytes of one device, of the stage that holds most layers.
struct MemoryDemand {
  Residency resident;       // weights, KV a token
  int64_t extra_bytes = 0;  // of a draft model, and what the software reserves
  int64_t capacity = 0;     // that may be used
  // What another machine holds of the model and its KV (Methods::Offload).
  struct Other {
    std::string machine;
    Residency resident;
    int64_t capacity = 0;
  };
  std::optional<Other> other;
};

// kInfeasible: not even one request fits, with the ledger and what would; of the other machine, with its ledger.
Result<Schedule> ScheduleOf(const ModelConfig& config, const Deployment& deployment, const InferenceLoad& load,
                            const MemoryDemand& memory);

}  // namespace lodestone
