// One batch of users through an open appliance, from the first pass to the last token, and what was measured.
#pragma once

#include <functional>
#include <memory>
#include <span>
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

// When a user of a batch had its first and its last token, and how many it had.
struct UserTimes {
  Time first_token, finished;
  int64_t generated = 0;
};
// Counts and times of a batch that began at `start`; TTFT is the mean over users, ITL the mean over gaps.
BatchRun BatchRunOf(std::span<const UserTimes> users, Time start, int cards);

}  // namespace lodestone
