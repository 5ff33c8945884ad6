// What a model would do on a machine that is known by its data sheet and its factors: inference by closed forms over
// the operator list.
//
// A step runs the kernels of one rank (plan/rank_model.h), each timed by the roofline (timing/roofline.h), collectives
// between ranks, and what a step costs besides: step_s + sequence_s × sequences. Prefill is the passes over the
// prompts, decoding the steps over contexts prompt + 1 … prompt + output − 1; requests that memory does not hold
// together wait (plan/inference_schedule.h). In a pipeline of p stages a batch is dealt to m = min(p, batch) groups:
//   decoding step = max(m × slowest stage, one group's way through all stages)
//   prefill       = one pass's way through all stages + (passes − 1) × slowest stage
// Data-parallel copies run the same beside each other.
//
// Low and high: every factor that has a range is put to its ends alone, and the effects are summed in quadrature on the
// logarithm of the time, as independent errors are. (All at their slow or all at their fast ends would be too wide.)
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "plan/deployment.h"
#include "plan/placement.h"
#include "timing/roofline.h"

namespace lodestone {

// Low and high come from the spread of the factors: low is the smaller number.
struct Range {
  double low = 0, typical = 0, high = 0;
};

struct InferenceLoad {
  int batch = 1;                                 // requests that arrive together, of one copy of the model
  int64_t prompt_tokens = 0, output_tokens = 1;  // a request
};

// Where the time of a step goes, at the typical factors; in a pipeline, of all stages.
struct OperatorShare {
  std::string name;    // "qkv", "attention", "down", "all-reduce", "step"
  int count = 1;       // runs a step
  double seconds = 0;  // of all runs of one step
  RooflineBound bound = RooflineBound::kMemory;
  int64_t operations = 0, bytes = 0;  // of all runs, of one device: a point of the roofline
};

// The times of a run, at one set of factors.
struct InferenceTimes {
  double ttft_s = 0;    // all prompts that are held together
  double decode_s = 0;  // from there until their last tokens
  double total_s = 0;   // the whole batch
};

// Everything of an estimate but the factors: for those who ask for the same run with many sets of them, such as fits.
class InferencePlan {
 public:
  // Errors as EstimateInference.
  static Result<InferencePlan> Of(const ModelConfig& config, const Recipe& recipe, const Deployment& deployment,
                                  const InferenceLoad& load);
  InferencePlan(InferencePlan&&) noexcept;
  InferencePlan& operator=(InferencePlan&&) noexcept;
  ~InferencePlan();

  // usable_memory and reserved_bytes are not looked at: how many requests are held together is the plan's.
  InferenceTimes TimesAt(const Factors& factors) const;
  const Factors& factors() const;  // of the deployment, typical
  double concurrent() const;       // requests held together, on average

 private:
  explicit InferencePlan(std::unique_ptr<const struct InferenceRun> run);
  std::unique_ptr<const struct InferenceRun> run_;
};

// Another machine in one respect: what would change.
struct WhatIf {
  std::string change;              // "memory bandwidth × 2", "weights of 4 bits"
  double prefill = 1, decode = 1;  // new time ÷ old time
};

struct InferenceEstimate {
  EstimateLevel level = EstimateLevel::kCalibrated;
  int devices = 1;
  int concurrent = 0;  // requests that memory holds together to their ends, at most the batch; of one copy
  Range ttft_s;        // of a batch that starts together: until the last prompt of those held together is through
  std::optional<Range> tpot_s;  // mean gap between a request's tokens while those held together decode; of one: none
  Range total_s;                // until the last request of the batch ends
  Range output_tokens_per_s, total_tokens_per_s;  // of the system: output alone; prompt and output
  Range output_tokens_per_s_per_device;
  std::optional<Range> output_tokens_per_s_per_user;  // 1 / TPOT
  std::optional<Range> watts_per_device, output_tokens_per_joule;
  std::string power_basis;             // "typical", "limit", …; or why there is none
  std::optional<double> space_metric;  // output tokens/s/device ÷ transistors
  std::optional<double> usd_per_million_output_tokens;
  Ledger ledger;                               // of the fullest device, at the batch that is held
  std::vector<OperatorShare> prefill, decode;  // one step each, decoding in the middle of the output
};

// kInvalid: sizes out of bounds, parallelism that does not divide the model. kInfeasible: weights and one request do
// not fit (with the arithmetic and what would), formats without a unit, a combination that is not modelled, by name.
Result<InferenceEstimate> EstimateInference(const ModelConfig& config, const Recipe& recipe,
                                            const Deployment& deployment, const InferenceLoad& load);

// Bandwidth, compute, links and bits changed one at a time.
Result<std::vector<WhatIf>> WhatWouldChange(const ModelConfig& config, const Recipe& recipe,
                                            const Deployment& deployment, const InferenceLoad& load);

struct TrainingLoad {
  int64_t sequence = 0;
  int micro_batch = 1;  // sequences a device and micro-step
  int gradient_accumulation = 1;
  bool recompute = false;
  int sharded_states = 0;  // ZeRO stage 0–3: what data-parallel devices share
};

struct TrainingEstimate {
  EstimateLevel level = EstimateLevel::kCalibrated;
  int devices = 1;
  Range step_s, tokens_per_s, samples_per_s, flops_per_s_per_device;
  double model_flops_per_token = 0;  // 6 P + 12 L h s, the study's count
  std::optional<Range> watts_per_device;
  struct Memory {
    int64_t weights = 0, gradients = 0, optimizer = 0, activations = 0, capacity = 0;  // a device
  } memory;
  std::vector<OperatorShare> step;  // forward, backward, gradients over links, optimizer
};
Result<TrainingEstimate> EstimateTraining(const ModelConfig& config, const Recipe& recipe, const Deployment& deployment,
                                          const TrainingLoad& load);

}  // namespace lodestone
