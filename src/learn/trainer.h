// The training loop's one step: sequences, gradients, their sum over the ranks, masks, the update.
//
// A step's result depends on the parameters, the optimizer's moments and its number alone, so a run that resumes from a
// checkpoint has the bits of one that never stopped. Ranks share one order of sequences and each take their part of
// every step; the loss is the mean over all of its tokens.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "host/thread_pool.h"
#include "learn/differentiator.h"
#include "learn/optimizer.h"
#include "learn/parameters.h"
#include "learn/reducer.h"
#include "learn/sparsity.h"
#include "learn/training_data.h"

namespace lodestone {

struct TrainerOptions {
  int64_t steps = 0;             // of the whole run: the schedule ends there
  int64_t sequences_a_step = 1;  // over all ranks
  int micro_batch = 1;           // most sequences that a rank computes at a time
  OptimizerSettings optimizer;
};

// What the trainer works with; all of it outlives the trainer.
struct TrainerParts {
  Differentiator* differentiator = nullptr;
  Parameters* parameters = nullptr;
  const BatchOrder* order = nullptr;
  Reducer* reducer = nullptr;
  ThreadPool* threads = nullptr;
  const SparsityMasks* masks = nullptr;  // null: dense
};

class Trainer {
 public:
  // Applies the masks to the parameters. Refused: sequences that the ranks cannot share evenly, memory.
  static Result<std::unique_ptr<Trainer>> Make(const TrainerParts& parts, const TrainerOptions& options);

  struct StepReport {
    int64_t step = 0;  // finished steps, this one included
    double loss = 0;   // nats a token, before the update
    double gradient_norm = 0, learning_rate = 0;
    int64_t tokens = 0;  // of all ranks
    bool stop = false;   // some rank asks to stop: all of them see it after the same step
  };
  // One step. Errors leave the parameters as they were before it, but for step sizes that the first one has found; the
  // other ranks are told.
  Result<StepReport> Step(bool stop);
  // The loss over the first `sequences` of `order`, shared among the ranks.
  Result<Loss> Evaluate(const BatchOrder& order, int64_t sequences);
  // Ends together: an error of any rank is an error of all.
  Status Agree(const Status& mine);

  int64_t step() const { return step_; }
  // Goes on after `step` finished steps; parameters and moments have been put in place.
  void Resume(int64_t step) { step_ = step; }
  AdamW& optimizer() { return optimizer_; }

  // When each part of the steps since the last call ran, for a trace.
  struct Interval {
    const char* name;  // "forward and backward", "reduce", "update"
    std::chrono::steady_clock::time_point begin, end;
  };
  std::vector<Interval> TakeIntervals();

 private:
  Trainer(const TrainerParts& parts, const TrainerOptions& options, AdamW optimizer);

  void ReadBatch(const BatchOrder& order, int64_t first, int64_t stride, int64_t count);
  Status InitialiseSteps();
  Result<Loss> AccumulateShare();
  template <typename Work>
  auto Timed(const char* name, const Work& work);

  TrainerParts parts_;
  TrainerOptions options_;
  AdamW optimizer_;
  std::vector<int64_t> pieces_;  // where the reduced pieces of the gradients begin, descending, the last at 0
  std::vector<int32_t> tokens_, targets_;
  Batch batch_;
  int64_t step_ = 0;
  std::vector<Interval> intervals_;
};

}  // namespace lodestone
