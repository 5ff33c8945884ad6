// Layers, experts or attention that are not on the devices themselves (Methods::Offload): weights streamed from the
// host's memory while the layers before compute (Y. Sheng et al., FlexGen, ICML 2023), or another machine at the end of
// the host's link that computes its part in turn.
#include <fmt/format.h>

#include <algorithm>

#include "plan/inference_run.h"
#include "plan/ledger.h"

namespace lodestone {
namespace {

double RegisterBytes(const ModelConfig& config, const Recipe& recipe, int ranks) {
  return BitsOf(recipe.stream) / 8.0 * (2.0 * config.q_width() + 2.0 * config.kv_width()) / ranks;
}

}  // namespace

int64_t WeightBytes(const Residency& residency) {
  return SaturatedSum(residency.code_bytes, SaturatedSum(residency.scale_bytes, residency.norm_bias_bytes));
}

Status CheckUnits(const RankModel& model, const Machine& machine, const DeviceRates& rates) {
  const Load one{.rows = 1, .logit_rows = 1, .sequences = 1, .context_sum = 1, .context_max = 1, .kv_tokens_read = 1};
  for (const Kernel& kernel : model.kernels) {
    const KernelWork work = WorkOf(model, kernel, one);
    if (work.matrix_ops == 0 || rates.MatrixRate(work.code) > 0) continue;
    return Infeasible(fmt::format("{}: no unit for products of {} ('{}'), and {} gives no rate for a wider format",
                                  machine.name, ToString(work.code), kernel.name, machine.file));
  }
  return {};
}

Status AddOffload(const ModelConfig& config, const Recipe& recipe, const Deployment& deployment, InferenceRun& run) {
  using What = Methods::Offload::What;
  const auto& offload = deployment.methods.offload;
  if (!offload) return {};
  if (run.parallelism.pipeline > 1) return Unsupported("offload from a pipeline of stages is not modelled");
  const Machine& machine = deployment.machine;
  if (!machine.host_link_bytes_per_s) {
    return Infeasible(
        fmt::format("offload: {} says nothing of the link to its host (host.link_bytes_per_s)", machine.file));
  }
  RankModel& model = run.models[0];
  Elsewhere elsewhere{.what = offload->what, .rates = {}};
  std::optional<Machine> other;
  if (!offload->machine.empty()) {
    LODESTONE_ASSIGN_OR_RETURN(other, LoadMachine(offload->machine));
    Efficiency efficiency = IdealEfficiency();
    if (deployment.level != EstimateLevel::kIdeal) {
      LODESTONE_ASSIGN_OR_RETURN(efficiency, EfficiencyOf(*other, ""));
    }
    LODESTONE_ASSIGN_OR_RETURN(elsewhere.rates, DeviceRates::Of(*other, efficiency));
    LODESTONE_RETURN_IF_ERROR(CheckUnits(model, *other, *elsewhere.rates));
  }
  Residency moved;  // what the devices need not hold
  switch (offload->what) {
    case What::kLayers: {
      if (offload->layers < 1 || offload->layers > config.layers) {
        return Invalid(fmt::format("offload: found {} layers, expected 1 to {}", offload->layers, config.layers));
      }
      elsewhere.layer_share = 1.0 * offload->layers / config.layers;
      moved = Repeated(model.layer, offload->layers);
      elsewhere.streamed_bytes = static_cast<double>(WeightBytes(moved));
      if (other) {
        elsewhere.streamed_bytes = 0;
        elsewhere.crossings = 2;
        elsewhere.carried_bytes_per_row = 2 * model.stream_bytes_per_row;
      } else {
        moved.kv_code_bytes_per_token = moved.kv_scale_bytes_per_token = 0;  // only weights are streamed
      }
      break;
    }
    case What::kExperts: {
      if (other) return Unsupported("experts on another machine are not modelled; 'experts@host' streams them");
      const bool has =
          std::any_of(model.kernels.begin(), model.kernels.end(), [](const Kernel& kernel) { return kernel.experts; });
      if (!has) return Invalid(fmt::format("offload: {} has no experts", config.name));
      for (const Kernel& kernel : model.kernels) {
        if (!kernel.experts) continue;
        Program part;
        part.segments.push_back(model.program.segments[kernel.segment]);
        Segment& segment = part.segments[0];
        segment.ops.assign(segment.ops.begin() + static_cast<std::ptrdiff_t>(kernel.begin),
                           segment.ops.begin() + static_cast<std::ptrdiff_t>(kernel.end));
        segment.fusion.assign(segment.ops.size(), 0);
        const Residency resident = ResidencyOf(part);
        moved.code_bytes += resident.code_bytes;
        moved.scale_bytes += resident.scale_bytes;
      }
      break;
    }
    case What::kAttention: {
      if (!other) return Unsupported("attention over KV in the host's memory is not modelled; name a machine");
      elsewhere.crossings = 2.0 * config.layers;
      elsewhere.carried_bytes_per_row = config.layers * RegisterBytes(config, recipe, run.parallelism.tensor);
      moved.kv_code_bytes_per_token = model.residency.kv_code_bytes_per_token;
      moved.kv_scale_bytes_per_token = model.residency.kv_scale_bytes_per_token;
      break;
    }
  }
  Residency& resident = run.memory.resident;
  resident.code_bytes -= moved.code_bytes;
  resident.scale_bytes -= moved.scale_bytes;
  resident.norm_bias_bytes -= moved.norm_bias_bytes;
  resident.kv_code_bytes_per_token -= moved.kv_code_bytes_per_token;
  resident.kv_scale_bytes_per_token -= moved.kv_scale_bytes_per_token;
  if (other && other->main_memory().capacity_bytes) {
    const Factors& factors = elsewhere.rates->factors;
    const double usable = other->main_memory().capacity_bytes->value * factors.usable_memory - factors.reserved_bytes;
    run.memory.other =
        MemoryDemand::Other{.machine = other->name, .resident = moved, .capacity = static_cast<int64_t>(usable)};
  }
  run.elsewhere = elsewhere;
  return {};
}

}  // namespace lodestone
