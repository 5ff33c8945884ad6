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

class Shares {
 public:
  explicit Shares(const TrainingRun& run) : run_(run), stage_(run.BusiestStage(run.rates)) {}

  OperatorShare& Add(const char* name, int count, double seconds, RooflineBound bound) {
    shares_.push_back({.name = name, .count = count, .seconds = seconds, .bound = bound});
    return shares_.back();
  }
  // What these kernels do in all micro-batches, bound by what bounds most of their time.
  void AddKernels(const char* name, double seconds, const std::vector<KernelWork>& works) {
    const int steps = run_.load.gradient_accumulation;
    OperatorShare& share = Add(name, steps, seconds, RooflineBound::kMemory);
    std::array<double, 8> bound_s{};
    for (size_t i = 0; i < works.size(); ++i) {
      const Kernel& kernel = run_.model.kernels[i];
      const int runs = kernel.in_layer ? stage_.layers : stage_.ends ? 1 : 0;
      KernelWork work = works[i];
      share.operations += std::llround(1.0 * steps * runs * (work.matrix_ops + work.vector_ops));
      share.bytes += std::llround(1.0 * steps * runs * work.bytes());
      work.activation_bytes *= run_.activation_share;
      const OperatorTime time = TimeOf(work, run_.rates, kernel.launches);
      bound_s[static_cast<size_t>(time.bound)] += runs * time.seconds;
    }
    share.bound = static_cast<RooflineBound>(std::max_element(bound_s.begin(), bound_s.end()) - bound_s.begin());
  }
  // Without those that take no time.
  std::vector<OperatorShare> Take() {
    std::erase_if(shares_, [](const OperatorShare& share) { return share.seconds <= 0; });
    return std::move(shares_);
  }

 private:
  const TrainingRun& run_;
  TrainingRun::Busiest stage_;
  std::vector<OperatorShare> shares_;
};

std::vector<OperatorShare> SharesOf(const TrainingRun& run, const StepTime& time) {
  const int steps = run.load.gradient_accumulation;
  const bool streams = run.streamed_share > 0;
  Shares shares(run);
  shares.AddKernels("forward", time.forward, run.forward);
  shares.AddKernels("recompute", time.recompute, run.forward);
  shares.AddKernels("backward", time.backward, run.backward);
  shares.Add("all-reduce", steps, time.tensor, RooflineBound::kLink);
  shares.Add(streams ? "weights from the host" : "gather weights", steps, time.weights,
             streams ? RooflineBound::kHost : RooflineBound::kLink);
  shares.Add("pipeline bubble", 1, time.bubble, RooflineBound::kLink);
  shares.Add("gradients", run.load.sharded_states >= 2 ? steps : 1, time.gradients, RooflineBound::kLink);
  shares.Add("optimizer", 1, time.optimizer, RooflineBound::kMemory);
  shares.Add("step", steps, time.host, RooflineBound::kStep);
  return shares.Take();
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
  estimate.model_flops_per_token = TrainingFlopsPerToken(config, load.sequence);
  estimate.flops_per_s_per_device = Scaled(estimate.tokens_per_s, estimate.model_flops_per_token / estimate.devices);
  const auto& watts = machine.typical_w ? machine.typical_w : machine.limit_w;
  if (watts)
    estimate.watts_per_device =
        Range{watts->low.value_or(watts->value), watts->value, watts->high.value_or(watts->value)};
  estimate.step = SharesOf(run, time);
  return estimate;
}

}  // namespace lodestone
