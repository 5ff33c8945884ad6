// A scheduled batch on the kernels of its devices: what an estimate times again and again. Private to plan/.
#pragma once

#include <optional>
#include <vector>

#include "plan/inference_schedule.h"
#include "plan/machine_estimate.h"
#include "plan/rank_model.h"

namespace lodestone {

// Passes and what each kernel of the rank does in one of them.
struct RunPasses {
  Passes passes;
  std::vector<KernelWork> works;  // one a kernel of the model
};

// What lies or runs elsewhere (Methods::Offload).
struct Elsewhere {
  Methods::Offload::What what = Methods::Offload::What::kLayers;
  double layer_share = 0;            // of the layers
  std::optional<DeviceRates> rates;  // of the other machine; none: weights streamed from the host's memory
  double streamed_bytes = 0;         // a pass, layers; experts are those that the pass reads
  double carried_bytes_per_row = 0;  // to the other machine and back
  double crossings = 0;              // a pass
};

struct InferenceRun {
  std::vector<RankModel> models;  // the model; its draft
  Schedule schedule;
  std::vector<RunPasses> prefill, decode;
  DeviceRates rates;  // typical factors
  Efficiency efficiency;
  Parallelism parallelism;
  bool overlap = true;
  std::optional<double> capacity_bytes;  // of a device, all of it; none: not known, and nothing is too large
  std::optional<Elsewhere> elsewhere;
  MemoryDemand memory;

  static Result<InferenceRun> Of(const ModelConfig& config, const Recipe& recipe, const Deployment& deployment,
                                 const InferenceLoad& load);

  // Whether memory would hold the whole batch with another value of one of the factors that take memory.
  bool HoldsAllWith(const FactorField& factor, double value, int batch) const;
};

// What lies elsewhere, and what the devices then need not hold (Methods::Offload).
Status AddOffload(const ModelConfig& config, const Recipe& recipe, const Deployment& deployment, InferenceRun& run);
// kInfeasible: a product for which the machine has no unit, by name.
Status CheckUnits(const RankModel& model, const Machine& machine, const DeviceRates& rates);
// Codes, scales, norms and biases.
int64_t WeightBytes(const Residency& residency);

// One pass on these devices, seconds.
struct PassTime {
  double layers = 0;    // kernels and collectives of all layers
  double ends = 0;      // embedding, output layer, gathering logits
  double host = 0;      // step_s and sequence_s
  double transfer = 0;  // between two stages
  double one_way = 0;   // all of it, once
  double slowest = 0;   // busiest stage of the pipeline; without one, one_way
};
PassTime TimeOf(const InferenceRun& run, const RunPasses& passes, const DeviceRates& rates);

InferenceTimes TimesOf(const InferenceRun& run, const DeviceRates& rates);

// Where the time of one pass goes.
std::vector<OperatorShare> SharesOf(const InferenceRun& run, const RunPasses& passes);

}  // namespace lodestone
