// One batch of users through an open appliance, from the first pass to the last token, and what was measured.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "appliance/appliance.h"
#include "base/status.h"
#include "engine/engine.h"
#include "model/config.h"
#include "report/measure.h"
#include "report/run_record.h"

namespace lodestone {

struct BatchOptions {
  int users = 1, micro_batches = 1, prefill_chunk = 128;
  int64_t context = 0;  // positions reserved a user
};

struct BatchResult {
  BatchRun run;                     // counts and times; power, transistors and provenance are for the caller
  std::vector<UserOutput> outputs;  // one a request; prompts are for the caller. Empty where nothing computes
  std::vector<StageStats> stages;
  Time elapsed;
  int64_t passes = 0;
};

// Adds all requests at once and steps until none is left. `on_token` hears every event with the user's index.
// `tokenizer` is null where nothing computes. The appliance is configured and has not run a batch.
Result<BatchResult> RunBatch(Appliance& appliance, Timeline& timeline, const ModelConfig& config,
                             std::shared_ptr<const Tokenizer> tokenizer, const BatchOptions& options,
                             std::vector<Request> requests,
                             const std::function<void(size_t user, const TokenEvent&)>& on_token);

}  // namespace lodestone
