// A model under training on this host with everything that a step takes, so that steps and their parts can be timed.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "base/status.h"
#include "host/thread_pool.h"
#include "lab/study/plan.h"
#include "learn/differentiator.h"
#include "learn/optimizer.h"
#include "learn/parameters.h"
#include "learn/reducer.h"
#include "learn/sparsity.h"

namespace lodestone {

class TrainingSession {
 public:
  // Weights from `seed` (model/weight_source.h), pruned where the case is sparse; data from the same seed: token k of
  // the vocabulary comes about as often as 1 / k, so that there is something to learn in few steps. `threads` and
  // `reducer` outlive it. Refused before anything is allocated: more memory than this host has, with the arithmetic.
  static Result<std::unique_ptr<TrainingSession>> Make(const StudyCase& test, uint64_t seed, ThreadPool& threads,
                                                       Reducer& reducer);

  struct Timed {
    double seconds = 0;            // of the whole
    double cpu_seconds = 0;        // of all threads of this process meanwhile
    double optimizer_seconds = 0;  // of it: masks, clipping, AdamW
    double reduce_seconds = 0;     // of it: waiting for other ranks after the backward
    Loss loss;                     // over all ranks
  };
  // One optimizer step: every micro-batch forward and backward, gradients averaged over the ranks, AdamW.
  Result<Timed> Step();
  // The loss of the micro-batch that comes next, without a backward. Changes nothing.
  Result<Timed> Forward();
  // Forward and backward of that micro-batch; no optimizer.
  Result<Timed> ForwardBackward();

  const Parameters& parameters() const { return *parameters_; }
  const SparsityMasks& masks() const { return masks_; }
  int64_t activation_bytes() const { return differentiator_->activation_bytes(); }

 private:
  TrainingSession(const StudyCase& test, uint64_t seed, ThreadPool& threads, Reducer& reducer)
      : test_(test), seed_(seed), threads_(threads), reducer_(reducer) {}

  // Of this rank's sequences the micro-batch `ahead` of the next one.
  Batch BatchAt(int64_t ahead);
  // Hands finished gradients to the other ranks in pieces of at least kPieceBytes.
  GradientsReady Sender();

  const StudyCase test_;
  const uint64_t seed_;
  ThreadPool& threads_;
  Reducer& reducer_;
  std::optional<Parameters> parameters_;
  SparsityMasks masks_;
  std::unique_ptr<Differentiator> differentiator_;
  std::optional<AdamW> optimizer_;
  std::vector<int32_t> ids_, targets_;
  int64_t step_ = 0;
  int64_t sent_ = 0;  // gradients from here to the end are on their way
  Status send_status_;
};

// `length` ids of sequence `index`, as Make says; integer arithmetic alone, so the same on every machine.
std::vector<int32_t> SeededTokens(uint64_t seed, uint64_t index, int64_t length, int vocab);

}  // namespace lodestone
