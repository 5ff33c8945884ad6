#include "plan/machine_estimate.h"

#include <fmt/format.h>

#include "plan/inference_run.h"
#include "plan/spread.h"

namespace lodestone {
namespace {

struct Spreads {
  Spread ttft, decode, total;

  explicit Spreads(const InferenceTimes& typical)
      : ttft(typical.ttft_s), decode(typical.decode_s), total(typical.total_s) {}
  void Add(const InferenceTimes& low, const InferenceTimes& high) {
    ttft.Add(low.ttft_s, high.ttft_s);
    decode.Add(low.decode_s, high.decode_s);
    total.Add(low.total_s, high.total_s);
  }
};

// Times with one factor at one end.
InferenceTimes TimesWith(const InferenceRun& run, const FactorField& field, double value) {
  DeviceRates rates = run.rates;
  rates.factors.*field.value = value;
  return TimesOf(run, rates);
}

// Factors that decide how many requests are held want a schedule of their own.
bool ChangesSchedule(const FactorField& field) {
  return field.figure == &Efficiency::usable_memory || field.figure == &Efficiency::reserved_bytes;
}

Spreads SpreadsOf(const InferenceRun& run, const ModelConfig& config, const Recipe& recipe,
                  const Deployment& deployment, const InferenceLoad& load) {
  const InferenceTimes typical = TimesOf(run, run.rates);
  Spreads spreads(typical);
  for (const FactorField& field : FactorFields()) {
    const Figure& figure = run.efficiency.*field.figure;
    if (!figure.low || !figure.high || *figure.low >= *figure.high) continue;
    if (!ChangesSchedule(field)) {
      spreads.Add(TimesWith(run, field, *figure.low), TimesWith(run, field, *figure.high));
      continue;
    }
    // Where memory is ample at either end, nothing changes; where it is too small at one, that end has no times.
    const auto at = [&](double value) {
      Deployment other = deployment;
      other.efficiency = run.efficiency;
      ((*other.efficiency).*field.figure).value = value;
      const Result<InferenceRun> changed = InferenceRun::Of(config, recipe, other, load);
      return changed.ok() ? TimesOf(*changed, changed->rates) : typical;
    };
    if (run.HoldsAllWith(field, *figure.low, load.batch) && run.HoldsAllWith(field, *figure.high, load.batch)) continue;
    spreads.Add(at(*figure.low), at(*figure.high));
  }
  return spreads;
}

Range Rate(double amount, const Range& seconds) {
  return {amount / seconds.high, amount / seconds.typical, amount / seconds.low};
}

Range Scaled(const Range& range, double factor) {
  return {range.low * factor, range.typical * factor, range.high * factor};
}

void AddPower(const Machine& machine, InferenceEstimate& estimate) {
  const std::optional<Figure>* watts = &machine.typical_w;
  estimate.power_basis = "typical";
  if (!*watts) {
    watts = &machine.limit_w;
    estimate.power_basis = "limit";
  }
  if (!*watts) {
    estimate.power_basis = fmt::format("{} states neither typical_w nor limit_w", machine.file);
    return;
  }
  const Figure& figure = **watts;
  const Range range{figure.low.value_or(figure.value), figure.value, figure.high.value_or(figure.value)};
  estimate.watts_per_device = range;
  const Range& rate = estimate.output_tokens_per_s_per_device;
  estimate.output_tokens_per_joule = {rate.low / range.high, rate.typical / range.typical, rate.high / range.low};
}

}  // namespace

Result<InferenceEstimate> EstimateInference(const ModelConfig& config, const Recipe& recipe,
                                            const Deployment& deployment, const InferenceLoad& load) {
  LODESTONE_ASSIGN_OR_RETURN(const InferenceRun run, InferenceRun::Of(config, recipe, deployment, load));
  const Spreads spreads = SpreadsOf(run, config, recipe, deployment, load);
  const Machine& machine = deployment.machine;
  InferenceEstimate estimate;
  estimate.level = deployment.level;
  estimate.devices = deployment.parallelism.devices();
  estimate.concurrent = static_cast<int>(run.schedule.concurrent);
  estimate.ttft_s = spreads.ttft.range();
  estimate.total_s = spreads.total.range();
  if (load.output_tokens > 1) {
    estimate.tpot_s = Scaled(spreads.decode.range(), 1.0 / static_cast<double>(load.output_tokens - 1));
    estimate.output_tokens_per_s_per_user = Rate(1, *estimate.tpot_s);
  }
  const double outputs = 1.0 * load.batch * static_cast<double>(load.output_tokens) * deployment.parallelism.data;
  const double prompts = 1.0 * load.batch * static_cast<double>(load.prompt_tokens) * deployment.parallelism.data;
  estimate.output_tokens_per_s = Rate(outputs, estimate.total_s);
  estimate.total_tokens_per_s = Rate(outputs + prompts, estimate.total_s);
  estimate.output_tokens_per_s_per_device = Scaled(estimate.output_tokens_per_s, 1.0 / estimate.devices);
  if (run.elsewhere && run.elsewhere->rates) {
    estimate.power_basis =
        fmt::format("{} draws power, too, which is not counted", deployment.methods.offload->machine);
  } else {
    AddPower(machine, estimate);
  }
  if (machine.transistors) {
    estimate.space_metric = estimate.output_tokens_per_s_per_device.typical / machine.transistors->value;
  }
  if (machine.price_usd_per_hour) {
    const double millions_an_hour = estimate.output_tokens_per_s_per_device.typical * 3600 / 1e6;
    estimate.usd_per_million_output_tokens = machine.price_usd_per_hour->value / millions_an_hour;
  }
  estimate.ledger = run.schedule.ledger;
  estimate.prefill = SharesOf(run, run.prefill.front());
  if (!run.decode.empty()) estimate.decode = SharesOf(run, run.decode[run.decode.size() / 2]);
  return estimate;
}

Result<std::vector<WhatIf>> WhatWouldChange(const ModelConfig& config, const Recipe& recipe,
                                            const Deployment& deployment, const InferenceLoad& load) {
  LODESTONE_ASSIGN_OR_RETURN(const InferenceRun run, InferenceRun::Of(config, recipe, deployment, load));
  const InferenceTimes now = TimesOf(run, run.rates);
  std::vector<WhatIf> changes;
  const auto add = [&](std::string change, const InferenceRun& of, const DeviceRates& rates) {
    const InferenceTimes then = TimesOf(of, rates);
    changes.push_back({.change = std::move(change),
                       .prefill = then.ttft_s / now.ttft_s,
                       .decode = now.decode_s > 0 ? then.decode_s / now.decode_s : 1});
  };
  DeviceRates rates = run.rates;
  rates.memory_bytes_per_s *= 2;
  add("memory bandwidth × 2", run, rates);
  rates = run.rates;
  for (double& rate : rates.matrix_ops_per_s) rate *= 2;
  rates.vector_ops_per_s *= 2;
  add("compute × 2", run, rates);
  if (run.parallelism.tensor * run.parallelism.pipeline > 1 || run.elsewhere) {
    rates = run.rates;
    rates.link_bytes_per_s *= 2;
    rates.network_bytes_per_s *= 2;
    rates.host_bytes_per_s *= 2;
    add("links × 2", run, rates);
  }
  if (const Factors& f = run.rates.factors; f.launch_s + f.step_s + f.sequence_s + f.collective_s > 0) {
    rates = run.rates;
    rates.factors.launch_s = rates.factors.step_s = rates.factors.sequence_s = rates.factors.collective_s = 0;
    add("no time to start kernels, steps and collectives", run, rates);
  }
  const auto halve = [&](double KernelWork::*bytes) {
    InferenceRun changed = run;
    for (auto* passes : {&changed.prefill, &changed.decode}) {
      for (RunPasses& some : *passes) {
        for (KernelWork& work : some.works) work.*bytes /= 2;
      }
    }
    return changed;
  };
  add(fmt::format("weights of half the bits ({} now), same products", BitsOf(recipe.weights.code)),
      halve(&KernelWork::weight_bytes), run.rates);
  add(fmt::format("KV of half the bits ({} now), same products", BitsOf(recipe.kv.code)), halve(&KernelWork::kv_bytes),
      run.rates);
  return changes;
}

InferencePlan::InferencePlan(std::unique_ptr<const InferenceRun> run) : run_(std::move(run)) {}
InferencePlan::InferencePlan(InferencePlan&&) noexcept = default;
InferencePlan& InferencePlan::operator=(InferencePlan&&) noexcept = default;
InferencePlan::~InferencePlan() = default;

Result<InferencePlan> InferencePlan::Of(const ModelConfig& config, const Recipe& recipe, const Deployment& deployment,
                                        const InferenceLoad& load) {
  LODESTONE_ASSIGN_OR_RETURN(InferenceRun run, InferenceRun::Of(config, recipe, deployment, load));
  return InferencePlan(std::make_unique<const InferenceRun>(std::move(run)));
}

InferenceTimes InferencePlan::TimesAt(const Factors& factors) const {
  DeviceRates rates = run_->rates;
  rates.factors = factors;
  return TimesOf(*run_, rates);
}

const Factors& InferencePlan::factors() const { return run_->rates.factors; }
double InferencePlan::concurrent() const { return run_->schedule.concurrent; }

}  // namespace lodestone
