#include "plan/training_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "program/registers.h"

namespace lodestone {
namespace {

constexpr int64_t kMaxRows = int64_t{1} << 30;
constexpr int kMaxCount = 1'000'000;

Status CheckQuestion(const ModelConfig& config, const Deployment& deployment, const TrainingLoad& load) {
  const auto check = [](const char* what, int64_t found, int64_t min, int64_t max) -> Status {
    if (found >= min && found <= max) return {};
    return Invalid(fmt::format("{}: found {}, expected {} to {}", what, found, min, max));
  };
  const Parallelism& p = deployment.parallelism;
  LODESTONE_RETURN_IF_ERROR(check("sequence", load.sequence, 1, kMaxRows));
  LODESTONE_RETURN_IF_ERROR(check("micro-batch", load.micro_batch, 1, kMaxRows / load.sequence));
  LODESTONE_RETURN_IF_ERROR(check("gradient accumulation", load.gradient_accumulation, 1, kMaxCount));
  LODESTONE_RETURN_IF_ERROR(check("sharded states (a ZeRO stage)", load.sharded_states, 0, 3));
  LODESTONE_RETURN_IF_ERROR(check("tensor parallelism", p.tensor, 1, kMaxCount));
  LODESTONE_RETURN_IF_ERROR(check("pipeline parallelism", p.pipeline, 1, std::min(kMaxCount, config.layers)));
  LODESTONE_RETURN_IF_ERROR(check("data parallelism", p.data, 1, kMaxCount));
  if (p.expert != 1) return Unsupported("expert parallelism in training is not modelled");
  if (load.sharded_states > 0 && p.data == 1) {
    return Invalid(
        fmt::format("sharded states (ZeRO stage {}) with one copy of the model: there is nothing to share "
                    "them with; data parallelism is 1",
                    load.sharded_states));
  }
  if (config.max_positions > 0 && load.sequence > config.max_positions) {
    return Invalid(
        fmt::format("sequence: found {} positions, but {} has {}", load.sequence, config.name, config.max_positions));
  }
  return {};
}

// Methods that a training step knows: what is not fused, sparse weights, and states in the host's memory.
Status CheckMethods(const Methods& methods) {
  const auto refuse = [](std::string_view name) -> Status {
    return Unsupported(fmt::format("method {} in training is not modelled", name));
  };
  if (methods.activation_sparsity) return refuse("activation-sparsity");
  if (methods.kv_budget) return refuse("kv-budget");
  if (methods.speculation) return refuse(methods.speculation->draft.empty() ? "self-speculation" : "speculative");
  if (methods.early_exit) return refuse("early-exit");
  if (!methods.offload) return {};
  if (methods.offload->what != Methods::Offload::What::kLayers || !methods.offload->machine.empty()) {
    return Unsupported("method offload in training is modelled for layers:N@host only");
  }
  return {};
}

Result<Efficiency> EfficiencyFor(const Deployment& deployment) {
  if (deployment.level == EstimateLevel::kIdeal) return IdealEfficiency();
  if (deployment.efficiency) return *deployment.efficiency;
  return EfficiencyOf(deployment.machine, deployment.stack);
}

Load LoadOf(const TrainingLoad& load) {
  const int64_t s = load.sequence, b = load.micro_batch;
  return {.rows = static_cast<int>(b * s),
          .logit_rows = static_cast<int>(b * s),
          .sequences = static_cast<int>(b),
          .context_sum = b * (s * (s + 1) / 2),
          .context_max = s,
          .kv_tokens_read = b * s};
}

// A kernel's backward moves its floating registers twice: what it read or wrote and the gradients of both.
KernelWork BackwardOf(const RankModel& model, const Kernel& kernel, const KernelWork& forward, const Load& load) {
  KernelWork total = forward;
  total.matrix_ops = total.vector_ops = total.weight_bytes = total.kv_bytes = 0;
  for (size_t i = kernel.begin; i < kernel.end; ++i) {
    const Op& op = model.program.segments[kernel.segment].ops[i];
    const KernelWork work = KernelOf(op, BackwardOf(op, load), load);
    total.matrix_ops += work.matrix_ops;
    total.vector_ops += work.vector_ops;
    total.weight_bytes += work.weight_bytes;
    total.kv_bytes += work.kv_bytes;
  }
  total.activation_bytes = 2 * forward.activation_bytes;
  return total;
}

// Where a layer's activations fit into a nearer memory than the weights', kernels hand them on there.
double ActivationShare(const Machine& machine, double bytes) {
  const MemoryLevel& main = machine.main_memory();
  for (const MemoryLevel& level : machine.memory) {
    if (!level.capacity_bytes || !level.bytes_per_s || level.capacity_bytes->value < bytes) continue;
    return std::min(1.0, main.bytes_per_s->value / level.bytes_per_s->value);
  }
  return 1;
}

// Kernels of one layer, or of what lies before and behind the layers.
struct PartTime {
  double forward = 0, backward = 0;
};

PartTime PartTimeOf(const TrainingRun& run, bool in_layer, const DeviceRates& rates) {
  PartTime time;
  const auto seconds_of = [&](const Kernel& kernel, KernelWork work) {
    work.activation_bytes *= run.activation_share;
    return TimeOf(work, rates, kernel.launches).seconds;
  };
  for (size_t i = 0; i < run.model.kernels.size(); ++i) {
    const Kernel& kernel = run.model.kernels[i];
    if (kernel.in_layer != in_layer) continue;
    time.forward += seconds_of(kernel, run.forward[i]);
    time.backward += seconds_of(kernel, run.backward[i]);
  }
  return time;
}

}  // namespace

Result<TrainingRun> TrainingRun::Of(const ModelConfig& config, const Recipe& recipe, const Deployment& deployment,
                                    const TrainingLoad& load) {
  LODESTONE_RETURN_IF_ERROR(CheckQuestion(config, deployment, load));
  LODESTONE_RETURN_IF_ERROR(CheckMethods(deployment.methods));
  if (recipe.weights.code != recipe.stream || recipe.activations.code != recipe.stream ||
      recipe.kv.code != recipe.stream) {
    return Unsupported(
        fmt::format("training in {} is not modelled: weights and activations are f32 or bf16", recipe.name));
  }
  TrainingRun run;
  run.parallelism = deployment.parallelism;
  run.load = load;
  run.overlap = deployment.overlap_pipeline;
  LODESTONE_ASSIGN_OR_RETURN(run.efficiency, EfficiencyFor(deployment));
  LODESTONE_ASSIGN_OR_RETURN(run.rates, DeviceRates::Of(deployment.machine, run.efficiency));
  LODESTONE_RETURN_IF_ERROR(CheckLinks(deployment.machine, run.parallelism.devices()));
  LODESTONE_ASSIGN_OR_RETURN(run.model, RankModelOf(config, recipe, run.parallelism, deployment.methods));
  if (run.rates.MatrixRate(recipe.stream) <= 0) {
    return Infeasible(fmt::format("{}: no unit for products of {}, and {} gives no rate for a wider format",
                                  deployment.machine.name, ToString(recipe.stream), deployment.machine.file));
  }
  run.optimizer = AdamWBytes(recipe.stream != Code::kF32);

  const Load rows = LoadOf(load);
  for (const Kernel& kernel : run.model.kernels) {
    run.forward.push_back(WorkOf(run.model, kernel, rows));
    run.backward.push_back(BackwardOf(run.model, kernel, run.forward.back(), rows));
  }
  const double float_bytes = BitsOf(recipe.stream) / 8.0;
  Program ends;
  int64_t larger_end = 0;
  for (const Segment& segment : run.model.program.segments) {
    if (segment.first_layer < 0) {
      ends.segments.push_back(segment);
      larger_end = std::max(larger_end, ParametersOf(Program{{segment}}));
      continue;
    }
    for (const Op& op : segment.ops) run.layer_parameters += ParametersOf(op);
    const KeptRow kept = KeptOf(segment.ops);
    const double a_row = static_cast<double>(kept.values) * float_bytes + 4.0 * static_cast<double>(kept.statistics) +
                         static_cast<double>(kept.score_heads * load.sequence) * float_bytes;
    run.kept_bytes = a_row * rows.rows;
  }
  run.end_parameters = run.parallelism.pipeline > 1 ? larger_end : ParametersOf(ends);
  run.logit_bytes = 4.0 * config.vocab / run.parallelism.tensor * rows.rows;
  run.carried_bytes = rows.rows * run.model.stream_bytes_per_row;
  // Software that manages an on-chip memory takes a micro-batch through a layer a sequence at a time; a cache has to
  // hold all of it.
  run.at_once = deployment.machine.platform == Platform::kAsic ? 1.0 / load.micro_batch : 1;
  run.activation_share = ActivationShare(
      deployment.machine, static_cast<double>(run.model.layer.activation_bytes_per_row) * rows.rows * run.at_once);

  if (const auto& offload = deployment.methods.offload) {
    if (run.rates.host_bytes_per_s <= 0) {
      return Infeasible(
          fmt::format("method offload: {} gives no link to the host (host.link_bytes_per_s)", deployment.machine.file));
    }
    run.streamed_share = 1.0 * offload->layers / config.layers;
    const auto& host = deployment.machine.host_memory_bytes_per_s;
    run.host_memory_bytes_per_s = host ? host->value : 0;
  }
  return run;
}

int TrainingRun::StageLayers() const { return (model.layers + parallelism.pipeline - 1) / parallelism.pipeline; }

double TrainingRun::StageParameters() const {
  return static_cast<double>(StageLayers() * layer_parameters + end_parameters);
}

double TrainingRun::StreamedParameters() const {
  const double layers = static_cast<double>(StageLayers() * layer_parameters) * streamed_share;
  return streamed_share < 1 ? layers : layers + static_cast<double>(end_parameters);
}

TrainingEstimate::Memory TrainingRun::MemoryOf() const {
  const double resident = StageParameters() - StreamedParameters();
  // What is streamed passes through two buffers of a layer, or through one of the table.
  double buffer = streamed_share > 0 ? 2.0 * static_cast<double>(layer_parameters) : 0;
  if (streamed_share == 1) buffer = std::max(buffer, static_cast<double>(end_parameters));
  // Copies share from their ZeRO stage on (S. Rajbhandari et al., SC 2020).
  const auto shared = [&](int stage) { return load.sharded_states >= stage ? parallelism.data : 1; };
  TrainingEstimate::Memory memory;
  memory.weights = std::llround(optimizer.weight * (resident / shared(3) + buffer));
  memory.gradients = std::llround(optimizer.gradient * (resident / shared(2) + buffer));
  memory.optimizer = std::llround(optimizer.states * resident / shared(1));
  // Micro-batches in flight: the first stage has begun one a stage before the first comes back.
  const int in_flight = std::min(load.gradient_accumulation, parallelism.pipeline);
  const double kept = load.recompute ? StageLayers() * carried_bytes * in_flight + kept_bytes * at_once
                                     : StageLayers() * kept_bytes * in_flight;
  memory.activations = std::llround(kept + logit_bytes * at_once);
  return memory;
}

TrainingRun::Busiest TrainingRun::BusiestStage(const DeviceRates& at) const {
  const int most = StageLayers();
  if (model.layers % parallelism.pipeline == 0) return {.layers = most, .ends = true};
  const PartTime layer = PartTimeOf(*this, true, at), end = PartTimeOf(*this, false, at);
  const double a_layer = layer.forward * (load.recompute ? 2 : 1) + layer.backward;
  if (end.forward + end.backward > a_layer) return {.layers = most - 1, .ends = true};
  return {.layers = most, .ends = false};
}

StepTime TimeOf(const TrainingRun& run, const DeviceRates& rates) {
  const Parallelism& p = run.parallelism;
  const Factors& factors = rates.factors;
  const int steps = run.load.gradient_accumulation;
  const TrainingRun::Busiest stage = run.BusiestStage(rates);
  const int layers = stage.layers;
  const PartTime layer = PartTimeOf(run, true, rates), end = stage.ends ? PartTimeOf(run, false, rates) : PartTime();
  const double layers_forward = layers * layer.forward;
  double forward = layers_forward + end.forward, backward = layers * layer.backward + end.backward;
  const double recompute = run.load.recompute ? layers_forward : 0;
  if (run.activation_share < 1 && !run.load.recompute) {
    // Kernels pass activations on near by; what the backward reads goes to main memory and comes back beside compute.
    const double kept_s = layers * run.kept_bytes / (rates.memory_bytes_per_s * factors.memory);
    forward = std::max(forward, kept_s);
    backward = std::max(backward, kept_s);
  }

  // Two all-reduces a layer in the forward, two in the backward (Megatron-LM).
  const double reduces = run.model.reduces_per_layer * layers * (run.load.recompute ? 3.0 : 2.0);
  const double tensor = p.tensor > 1 ? reduces * AllReduceSeconds(run.carried_bytes, p.tensor, rates) : 0;

  // Copies of one rank lie in different servers once a copy's own devices fill one.
  DeviceRates between = rates;
  between.devices_per_server = std::max(1, rates.devices_per_server / (p.tensor * p.pipeline));
  const double weights_bytes = run.optimizer.weight * run.StageParameters();
  const auto a_layer = [&](auto collective, double bytes) {
    return layers * collective(bytes / layers, p.data, between);
  };

  double weights = 0, gather = 0;
  if (run.load.sharded_states == 3) {
    gather = a_layer(AllGatherSeconds, weights_bytes);
    weights += std::max(0.0, gather - forward) + std::max(0.0, gather - backward - recompute);
  }
  if (run.streamed_share > 0) {
    // In for the forward and again for the backward; gradients out beside the next weights.
    const double bytes = run.StreamedParameters();
    const double link = rates.host_bytes_per_s * factors.link;
    const double in = run.optimizer.weight * bytes / link, out = run.optimizer.gradient * bytes / link;
    weights += std::max(0.0, in - forward) + std::max(0.0, std::max(in, out) - backward - recompute);
  }

  StepTime time;
  time.forward = steps * forward;
  time.backward = steps * backward;
  time.recompute = steps * recompute;
  time.tensor = steps * tensor;
  time.weights = steps * weights;
  time.host = steps * factors.step_s;
  if (p.pipeline > 1) {
    const double transfer =
        TransferSeconds(run.carried_bytes / p.tensor, p.tensor * p.pipeline > rates.devices_per_server, rates);
    time.bubble = (p.pipeline - 1) * (forward + backward + recompute + tensor + weights + 2 * transfer);
    if (!run.overlap) time.bubble += 2.0 * steps * transfer;
  }
  const double resident = run.StageParameters() - run.StreamedParameters();
  if (p.data > 1) {
    // Summing and sharing out are an all-reduce however states are sharded; stage 3 shares out weights when they are
    // used, so that only the sum remains.
    const double bytes = run.optimizer.gradient * resident;
    // Behind a micro-batch's backward, while the same links do not gather weights; but for the layer that comes last.
    const auto beyond_backward = [&](double reduce) {
      return std::max(reduce / layers, reduce - std::max(0.0, backward - gather));
    };
    const double scatter = a_layer(AllGatherSeconds, bytes);
    time.gradients = beyond_backward(run.load.sharded_states == 3 ? scatter : a_layer(AllReduceSeconds, bytes));
    // A device that keeps its share of the gradients alone hands the rest on after every micro-batch.
    if (run.load.sharded_states >= 2) time.gradients += (steps - 1) * beyond_backward(scatter);
  }
  const double moved = run.optimizer.moved * resident / (run.load.sharded_states >= 1 ? p.data : 1);
  time.optimizer = moved / (rates.memory_bytes_per_s * factors.memory);
  if (run.host_memory_bytes_per_s > 0) {
    time.optimizer += run.optimizer.moved * run.StreamedParameters() / run.host_memory_bytes_per_s;
  }
  return time;
}

}  // namespace lodestone
