#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "base/units.h"
#include "plan/machine_estimate.h"
#include "plan/spread.h"
#include "plan/training_run.h"

namespace lodestone {
namespace {

double ModelFlopsPerToken(const ModelConfig& config, int64_t sequence) {
  return 6 * static_cast<double>(ParameterCount(config)) +
         12.0 * config.layers * config.hidden * static_cast<double>(sequence);
}

Range Rate(double amount, const Range& seconds) {
  return {amount / seconds.high, amount / seconds.typical, amount / seconds.low};
}

Range Scaled(const Range& range, double factor) {
  return {range.low * factor, range.typical * factor, range.high * factor};
}

Range StepRange(const TrainingRun& run, const StepTime& typical) {
  Spread spread(typical.total());
  for (const FactorField& field : FactorFields()) {
    const Figure& figure = run.efficiency.*field.figure;
    if (!figure.low || !figure.high || *figure.low >= *figure.high) continue;
    const auto at = [&](double value) {
      DeviceRates rates = run.rates;
      rates.factors.*field.value = value;
      return TimeOf(run, rates).total();
    };
    spread.Add(at(*figure.low), at(*figure.high));
  }
  return spread.range();
}

// What bounds most of the time of these kernels.
RooflineBound BoundOf(const TrainingRun& run, const std::vector<KernelWork>& works) {
  std::array<double, 8> seconds{};
  for (size_t i = 0; i < works.size(); ++i) {
    const Kernel& kernel = run.model.kernels[i];
    KernelWork work = works[i];
    work.activation_bytes *= run.activation_share;
    const OperatorTime time = TimeOf(work, run.rates, kernel.launches);
    seconds[static_cast<size_t>(time.bound)] += time.seconds * (kernel.in_layer ? run.StageLayers() : 1);
  }
  return static_cast<RooflineBound>(std::max_element(seconds.begin(), seconds.end()) - seconds.begin());
}

std::vector<OperatorShare> SharesOf(const TrainingRun& run, const StepTime& time) {
  std::vector<OperatorShare> shares;
  const int steps = run.load.gradient_accumulation;
  const auto add = [&](const char* name, int count, double seconds, RooflineBound bound) -> OperatorShare* {
    if (seconds <= 0) return nullptr;
    shares.push_back({.name = name, .count = count, .seconds = seconds, .bound = bound});
    return &shares.back();
  };
  const auto add_kernels = [&](const char* name, double seconds, const std::vector<KernelWork>& works) {
    OperatorShare* share = add(name, steps, seconds, BoundOf(run, works));
    if (share == nullptr) return;
    for (size_t i = 0; i < works.size(); ++i) {
      const double runs = 1.0 * steps * (run.model.kernels[i].in_layer ? run.StageLayers() : 1);
      share->operations += std::llround(runs * (works[i].matrix_ops + works[i].vector_ops));
      share->bytes += std::llround(runs * works[i].bytes());
    }
  };
  add_kernels("forward", time.forward, run.forward);
  add_kernels("recompute", time.recompute, run.forward);
  add_kernels("backward", time.backward, run.backward);
  add("all-reduce", steps, time.tensor, RooflineBound::kLink);
  add(run.streamed_share > 0 ? "weights from the host" : "gather weights", steps, time.weights,
      run.streamed_share > 0 ? RooflineBound::kHost : RooflineBound::kLink);
  add("pipeline bubble", 1, time.bubble, RooflineBound::kLink);
  add("gradients", 1, time.gradients, RooflineBound::kLink);
  add("optimizer", 1, time.optimizer, RooflineBound::kMemory);
  add("step", steps, time.host, RooflineBound::kStep);
  return shares;
}

Status CheckMemory(const ModelConfig& config, const Deployment& deployment, const TrainingRun& run,
                   const TrainingEstimate::Memory& memory) {
  const int64_t needed = memory.weights + memory.gradients + memory.optimizer + memory.activations;
  if (memory.capacity == 0 || needed <= memory.capacity) return {};
  std::string would = "more devices in tensor or pipeline parallelism";
  if (run.load.sharded_states < 3 && run.parallelism.data > 1) would += ", sharded states";
  if (!run.load.recompute) would += ", recomputation";
  if (run.load.micro_batch > 1) would += ", a smaller micro-batch";
  return Infeasible(fmt::format(
      "training {} on {}: a device needs {} (weights {}, gradients {}, optimizer {}, activations {}) of {}; {} needs "
      "less",
      config.name, deployment.machine.name, FormatBytes(needed), FormatBytes(memory.weights),
      FormatBytes(memory.gradients), FormatBytes(memory.optimizer), FormatBytes(memory.activations),
      FormatBytes(memory.capacity), would));
}

}  // namespace

Result<TrainingEstimate> EstimateTraining(const ModelConfig& config, const Recipe& recipe, const Deployment& deployment,
                                          const TrainingLoad& load) {
  LODESTONE_ASSIGN_OR_RETURN(const TrainingRun run, TrainingRun::Of(config, recipe, deployment, load));
  TrainingEstimate estimate;
  estimate.level = deployment.level;
  estimate.devices = deployment.parallelism.devices();
  estimate.memory = run.MemoryOf();
  const Machine& machine = deployment.machine;
  if (const auto& capacity = machine.main_memory().capacity_bytes) {
    const Factors& factors = run.rates.factors;
    estimate.memory.capacity = std::llround(capacity->value * factors.usable_memory - factors.reserved_bytes);
  }
  LODESTONE_RETURN_IF_ERROR(CheckMemory(config, deployment, run, estimate.memory));

  const StepTime time = TimeOf(run, run.rates);
  estimate.step_s = StepRange(run, time);
  const double samples = 1.0 * load.micro_batch * load.gradient_accumulation * deployment.parallelism.data;
  estimate.samples_per_s = Rate(samples, estimate.step_s);
  estimate.tokens_per_s = Scaled(estimate.samples_per_s, static_cast<double>(load.sequence));
  estimate.model_flops_per_token = ModelFlopsPerToken(config, load.sequence);
  estimate.flops_per_s_per_device = Scaled(estimate.tokens_per_s, estimate.model_flops_per_token / estimate.devices);
  const auto& watts = machine.typical_w ? machine.typical_w : machine.limit_w;
  if (watts)
    estimate.watts_per_device =
        Range{watts->low.value_or(watts->value), watts->value, watts->high.value_or(watts->value)};
  estimate.step = SharesOf(run, time);
  return estimate;
}

}  // namespace lodestone
