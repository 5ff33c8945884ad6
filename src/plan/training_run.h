// A training step on the kernels of its devices: what an estimate times again and again. Private to plan/.
#pragma once

#include <vector>

#include "plan/machine_estimate.h"
#include "plan/rank_model.h"
#include "program/training_work.h"

namespace lodestone {

// What one rank does for one micro-batch, and what its device holds.
struct TrainingRun {
  RankModel model;
  std::vector<KernelWork> forward, backward;  // one a kernel of the model
  DeviceRates rates;                          // typical factors
  Efficiency efficiency;
  Parallelism parallelism;
  TrainingLoad load;
  OptimizerBytes optimizer;
  int64_t layer_parameters = 0;  // of one layer
  int64_t end_parameters = 0;   // of embedding and output layer, tied ones once; in a pipeline of the larger of the two
  double kept_bytes = 0;        // a layer and micro-batch: what its backward reads
  double carried_bytes = 0;     // a micro-batch: the residual stream
  double activation_share = 1;  // bandwidth of main memory ÷ that of the level which holds a layer's activations
  double logit_bytes = 0;       // a micro-batch: as f32, their gradient in place
  double at_once = 1;           // share of a micro-batch that a layer works on
  double streamed_share = 0;    // of the layers: their states lie in the host's memory
  double host_memory_bytes_per_s = 0;  // 0: not known
  bool overlap = true;                 // transfers between stages behind compute

  static Result<TrainingRun> Of(const ModelConfig& config, const Recipe& recipe, const Deployment& deployment,
                                const TrainingLoad& load);

  int StageLayers() const;  // of a stage that holds most
  // Of the stage that takes longest: one with most layers, or one at an end, which holds a layer less where they do not
  // divide, and then embedding and output layer.
  struct Busiest {
    int layers = 0;
    bool ends = false;
  };
  Busiest BusiestStage(const DeviceRates& rates) const;
  double StageParameters() const;
  double StreamedParameters() const;          // of these, what lies in the host's memory: all where all layers do
  TrainingEstimate::Memory MemoryOf() const;  // of that stage; capacity left out
};

// One step, seconds; of the stage that takes longest.
struct StepTime {
  double forward = 0, backward = 0, recompute = 0;  // of all micro-batches
  double tensor = 0;                                // collectives between the ranks of a layer
  double weights = 0;    // gathering sharded weights, or streaming them from the host, beyond what compute hides
  double bubble = 0;     // filling and emptying the pipeline, transfers included
  double gradients = 0;  // over the links between copies, beyond what the last backward hides
  double optimizer = 0, host = 0;
  double total() const {
    return forward + backward + recompute + tensor + weights + bubble + gradients + optimizer + host;
  }
};
StepTime TimeOf(const TrainingRun& run, const DeviceRates& rates);

}  // namespace lodestone
