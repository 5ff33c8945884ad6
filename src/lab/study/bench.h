// Runs one case of a study and keeps what the clock said.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "host/thread_pool.h"
#include "lab/study/plan.h"
#include "learn/reducer.h"

namespace lodestone {

// The two linear layers of a block's MLP alone, dense and with the case's tile blocks, run in turn.
struct MlpTimes {
  std::vector<double> dense_forward_s, sparse_forward_s;    // up and down projection
  std::vector<double> dense_training_s, sparse_training_s;  // the same with both backward products
};

// Seconds, one a repetition. Where the case was refused `reason` says why and nothing else is meant.
struct StudyResult {
  StudyCase test;
  std::string reason;
  std::string isa;
  int threads = 1, ranks = 1;

  std::vector<double> step_s;       // the whole optimizer step; of a block forward and backward; empty where the recipe
                                    // is not trained here
  std::vector<double> forward_s;    // of the same work: one micro-batch, the loss included, times the accumulation
  std::vector<double> optimizer_s;  // masks, clipping and AdamW; none of a block
  std::vector<double> reduce_s;     // waiting for other ranks; none of one rank
  double wall_s = 0, cpu_s = 0;  // of what was timed: on the clock, and of this process's threads on their processors
  double first_loss = 0, last_loss = 0;  // nats a token, of the first and the last step
  int64_t steps = 0;                     // made in all, warm-up included
  double sparsity = 0;                   // as it came out
  int64_t activation_bytes = 0;
  std::optional<int64_t> peak_resident_bytes;  // of this process, all its cases so far
  std::optional<MlpTimes> mlp;

  bool ok() const { return reason.empty(); }
  // The part of its threads' time that the process had a processor: below 1 where other programs ran, or where threads
  // slept.
  double processor_share() const { return wall_s > 0 ? cpu_s / (wall_s * threads) : 1; }
};

struct StudyClock {
  int64_t warmup = 1, repetitions = 3;
  uint64_t seed = 1;
};

// Integer recipes are run forward by the executor, as the engine does; they, and blocks, have no optimizer step. A case
// that does not fit is a result with a reason; an error is something that stops a run. `reducer` has one rank for a
// block.
Result<StudyResult> RunStudyCase(const StudyCase& test, const StudyClock& clock, ThreadPool& threads, Reducer& reducer);

// Fills in forward passes of a model in an integer recipe, whole sequences a pass.
Status TimeExecutor(const StudyClock& clock, StudyResult& result);

// The MLP of layer 0, for as many rows as a micro-batch has.
class TrainingSession;
Result<MlpTimes> TimeMlp(const TrainingSession& session, const StudyCase& test, const StudyClock& clock,
                         ThreadPool& threads);

}  // namespace lodestone
