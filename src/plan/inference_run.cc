#include "plan/inference_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "plan/ledger.h"

namespace lodestone {
namespace {

constexpr int kMaxBatch = 1'000'000;
constexpr int64_t kMaxTokens = int64_t{1} << 30;
constexpr int kMaxRanks = 1'000'000;

Status CheckQuestion(const ModelConfig& config, const Deployment& deployment, const InferenceLoad& load) {
  const auto check = [](const char* what, int64_t found, int64_t max) -> Status {
    if (found >= 1 && found <= max) return {};
    return Invalid(fmt::format("{}: found {}, expected 1 to {}", what, found, max));
  };
  const Parallelism& p = deployment.parallelism;
  LODESTONE_RETURN_IF_ERROR(check("batch", load.batch, kMaxBatch));
  LODESTONE_RETURN_IF_ERROR(check("prompt tokens", load.prompt_tokens, kMaxTokens));
  LODESTONE_RETURN_IF_ERROR(check("output tokens", load.output_tokens, kMaxTokens));
  LODESTONE_RETURN_IF_ERROR(check("tensor parallelism", p.tensor, kMaxRanks));
  LODESTONE_RETURN_IF_ERROR(check("pipeline parallelism", p.pipeline, std::min(kMaxRanks, config.layers)));
  LODESTONE_RETURN_IF_ERROR(check("data parallelism", p.data, kMaxRanks));
  LODESTONE_RETURN_IF_ERROR(check("expert parallelism", p.expert, kMaxRanks));
  if (deployment.prefill_chunk) LODESTONE_RETURN_IF_ERROR(check("prefill chunk", *deployment.prefill_chunk, 1 << 24));
  const int64_t positions = load.prompt_tokens + load.output_tokens;
  // A batch's rows are counted in int, and its contexts summed in int64_t.
  if (positions * load.batch > kMaxTokens) {
    return Invalid(
        fmt::format("{} requests of {} positions are more than {} together", load.batch, positions, kMaxTokens));
  }
  if (config.max_positions > 0 && positions > config.max_positions) {
    return Invalid(fmt::format("prompt and output: found {} positions, but {} has {}", positions, config.name,
                               config.max_positions));
  }
  // Operations of attention are counted in int64_t: four a score and width, twice as many where scores are stored; of a
  // prompt's rows, or of 65 rows a request that checks a draft.
  const double rows = std::max(static_cast<double>(load.prompt_tokens), 65.0 * load.batch);
  if (8.0 * config.q_width() * rows * static_cast<double>(positions) > 0x1p62) {
    return Invalid(fmt::format("{} requests of {} positions: attention of {} has more operations than are counted here",
                               load.batch, positions, config.name));
  }
  return {};
}

Result<Efficiency> EfficiencyFor(const Deployment& deployment) {
  if (deployment.level == EstimateLevel::kIdeal) return IdealEfficiency();
  if (deployment.efficiency) return *deployment.efficiency;
  if (deployment.level == EstimateLevel::kSelfCalibrated) {
    return Unsupported("a self-calibrated estimate needs the factors of this host, as SelfCalibrate gives them");
  }
  return EfficiencyOf(deployment.machine, deployment.stack);
}

// What one stage holds at most, of a rank.
Residency FullestStage(const RankModel& model, int stages) {
  const int layers = (model.layers + stages - 1) / stages;
  return Together(Repeated(model.layer, layers), model.ends);
}

// Between devices that hold experts. Stages of a copy lie side by side, so that a server has fewer devices of each.
double ExchangeSeconds(const Parallelism& parallelism, double bytes, DeviceRates rates) {
  rates.devices_per_server = std::max(1, rates.devices_per_server / parallelism.pipeline);
  return AllToAllSeconds(bytes, parallelism.expert, rates);
}

// The draft of speculative decoding, and the memory that it takes.
Status AddDraft(const ModelConfig& config, const Recipe& recipe, const Deployment& deployment,
                const InferenceLoad& load, InferenceRun& run) {
  const auto& speculation = deployment.methods.speculation;
  if (!speculation) return {};
  if (run.parallelism.pipeline > 1) return Unsupported("speculation in a pipeline of stages is not modelled");
  ModelConfig draft = config;
  // The model's own layers are as sparse as they are; of another model, the same software runs the kernels.
  Methods methods = deployment.methods;
  methods.speculation.reset();
  Parallelism parallelism = run.parallelism;
  if (speculation->draft.empty()) {
    draft.layers = speculation->draft_layers;
  } else {
    LODESTONE_ASSIGN_OR_RETURN(draft, LoadModelConfig(speculation->draft));
    methods.weight_sparsity.reset();
    methods.activation_sparsity.reset();
    if (draft.experts == 0) parallelism.expert = 1;
    if (const int64_t positions = load.prompt_tokens + load.output_tokens; positions > draft.max_positions) {
      return Invalid(fmt::format("speculation: found {} positions, but the draft {} has {}", positions, draft.name,
                                 draft.max_positions));
    }
  }
  Result<RankModel> split = RankModelOf(draft, recipe, parallelism, methods);
  // A draft that is too small to be split is held by every rank.
  if (!split.ok()) split = RankModelOf(draft, recipe, {}, methods);
  if (!split.ok()) return split.error();
  run.models.push_back(*std::move(split));
  if (speculation->draft.empty()) return {};  // its layers and their KV are the model's own
  const Residency& resident = run.models.back().residency;
  run.memory.extra_bytes = WeightBytes(resident);
  run.memory.resident.kv_code_bytes_per_token += resident.kv_code_bytes_per_token;
  run.memory.resident.kv_scale_bytes_per_token += resident.kv_scale_bytes_per_token;
  return {};
}

}  // namespace

Result<InferenceRun> InferenceRun::Of(const ModelConfig& config, const Recipe& recipe, const Deployment& deployment,
                                      const InferenceLoad& load) {
  LODESTONE_RETURN_IF_ERROR(CheckQuestion(config, deployment, load));
  InferenceRun run;
  run.parallelism = deployment.parallelism;
  run.overlap = deployment.overlap_pipeline;
  LODESTONE_ASSIGN_OR_RETURN(run.efficiency, EfficiencyFor(deployment));
  LODESTONE_ASSIGN_OR_RETURN(run.rates, DeviceRates::Of(deployment.machine, run.efficiency));
  LODESTONE_RETURN_IF_ERROR(CheckLinks(
      deployment.machine, run.parallelism.pipeline * std::max(run.parallelism.tensor, run.parallelism.expert)));
  LODESTONE_ASSIGN_OR_RETURN(RankModel model, RankModelOf(config, recipe, run.parallelism, deployment.methods));
  LODESTONE_RETURN_IF_ERROR(CheckUnits(model, deployment.machine, run.rates));
  run.memory.resident = FullestStage(model, run.parallelism.pipeline);
  run.models.push_back(std::move(model));
  LODESTONE_RETURN_IF_ERROR(AddDraft(config, recipe, deployment, load, run));
  LODESTONE_RETURN_IF_ERROR(AddOffload(config, recipe, deployment, run));

  const auto& capacity = deployment.machine.main_memory().capacity_bytes;
  run.memory.capacity = kSaturatedBytes;
  if (capacity) {
    run.capacity_bytes = capacity->value;
    run.memory.capacity = static_cast<int64_t>(capacity->value * run.rates.factors.usable_memory);
  }
  run.memory.extra_bytes += static_cast<int64_t>(run.rates.factors.reserved_bytes);
  LODESTONE_ASSIGN_OR_RETURN(run.schedule, ScheduleOf(config, deployment, load, run.memory));
  if (!capacity) run.schedule.ledger.capacity = run.schedule.ledger.used();

  const auto prepare = [&](const std::vector<Passes>& passes) {
    std::vector<RunPasses> prepared;
    prepared.reserve(passes.size());
    for (const Passes& some : passes) {
      const RankModel& of = run.models[static_cast<size_t>(some.model)];
      RunPasses one{.passes = some, .works = {}};
      one.works.reserve(of.kernels.size());
      for (const Kernel& kernel : of.kernels) one.works.push_back(WorkOf(of, kernel, some.load));
      prepared.push_back(std::move(one));
    }
    return prepared;
  };
  run.prefill = prepare(run.schedule.prefill);
  run.decode = prepare(run.schedule.decode);
  return run;
}

bool InferenceRun::HoldsAllWith(const FactorField& factor, double value, int batch) const {
  if (!capacity_bytes) return true;
  Factors factors = rates.factors;
  factors.*factor.value = value;
  const double now = *capacity_bytes * rates.factors.usable_memory - rates.factors.reserved_bytes;
  const double then = *capacity_bytes * factors.usable_memory - factors.reserved_bytes;
  return schedule.concurrent >= batch && static_cast<double>(schedule.ledger.free()) + then - now >= 0;
}

PassTime TimeOf(const InferenceRun& run, const RunPasses& passes, const DeviceRates& rates) {
  const RankModel& model = run.models[static_cast<size_t>(passes.passes.model)];
  const Load& load = passes.passes.load;
  const int ranks = run.parallelism.tensor, stages = run.parallelism.pipeline;
  const int layers = passes.passes.prompts ? model.layers : model.layers_run;
  const Elsewhere* elsewhere = run.elsewhere && passes.passes.model == 0 ? &*run.elsewhere : nullptr;
  const bool attention_elsewhere = elsewhere != nullptr && elsewhere->what == Methods::Offload::What::kAttention;
  const bool layers_elsewhere = elsewhere != nullptr && elsewhere->rates && !attention_elsewhere;

  PassTime time;
  double other_layers = 0, streamed = elsewhere != nullptr ? elsewhere->streamed_bytes : 0;
  for (size_t i = 0; i < passes.works.size(); ++i) {
    const Kernel& kernel = model.kernels[i];
    const KernelWork& work = passes.works[i];
    const int runs = passes.passes.prompts ? kernel.prompt_runs : kernel.runs;
    const bool there = attention_elsewhere && work.kind == KernelClass::kAttention;
    const double seconds = runs * TimeOf(work, there ? *elsewhere->rates : rates, kernel.launches).seconds;
    (kernel.in_layer ? time.layers : time.ends) += seconds;
    if (layers_elsewhere && kernel.in_layer)
      other_layers += runs * TimeOf(work, *elsewhere->rates, kernel.launches).seconds;
    if (elsewhere != nullptr && elsewhere->what == Methods::Offload::What::kExperts && kernel.experts) {
      streamed += runs * work.weight_bytes;
    }
  }
  const double stream_bytes = load.rows * model.stream_bytes_per_row;
  if (ranks > 1 && model.reduces_per_layer > 0) {
    time.layers += layers * model.reduces_per_layer * AllReduceSeconds(stream_bytes, ranks, rates);
    time.ends += AllGatherSeconds(load.logit_rows * model.logit_bytes_per_row, ranks, rates);
  }
  if (model.all_to_all_bytes_per_row > 0) {
    time.layers += 2 * layers * ExchangeSeconds(run.parallelism, load.rows * model.all_to_all_bytes_per_row, rates);
  }
  if (layers_elsewhere) {
    time.layers = time.layers * (1 - elsewhere->layer_share) + other_layers * elsewhere->layer_share;
  }
  if (elsewhere != nullptr && elsewhere->rates) {
    time.layers += elsewhere->crossings * rates.factors.collective_s +
                   load.rows * elsewhere->carried_bytes_per_row / (rates.host_bytes_per_s * rates.factors.link);
  }
  // The next layers' weights come while these compute.
  if (streamed > 0) time.layers = std::max(time.layers, streamed / (rates.host_bytes_per_s * rates.factors.link));
  time.host = rates.factors.step_s + load.sequences * rates.factors.sequence_s;
  if (stages == 1) {
    time.one_way = time.slowest = time.layers + time.ends + time.host;
    return time;
  }
  time.transfer = TransferSeconds(stream_bytes / ranks, ranks * stages > rates.devices_per_server, rates);
  time.one_way = time.layers + time.ends + time.host + (stages - 1) * time.transfer;
  const int most = (model.layers + stages - 1) / stages;
  const double share = 1.0 * most / model.layers;
  // Stages that hold a layer less take the embedding and the output layer.
  const double with_ends = (model.layers % stages == 0 ? share : share - 1.0 / model.layers) * time.layers + time.ends;
  time.slowest = std::max({share * time.layers, with_ends, time.host});
  if (!run.overlap) time.slowest += time.transfer;
  return time;
}

InferenceTimes TimesOf(const InferenceRun& run, const DeviceRates& rates) {
  double prefill = 0, decode = 0;
  for (const RunPasses& passes : run.prefill) {
    const PassTime time = TimeOf(run, passes, rates);
    // The pipeline is filled once; each further pass follows at the pace of the slowest stage.
    if (prefill == 0) prefill = time.one_way - time.slowest;
    prefill += passes.passes.count * time.slowest;
  }
  for (const RunPasses& passes : run.decode) {
    const PassTime time = TimeOf(run, passes, rates);
    decode += passes.passes.count * std::max(passes.passes.groups * time.slowest, time.one_way);
  }
  return {.ttft_s = rates.factors.run_s + prefill,
          .decode_s = decode,
          .total_s = rates.factors.run_s + run.schedule.waves * (prefill + decode)};
}

std::vector<OperatorShare> SharesOf(const InferenceRun& run, const RunPasses& passes) {
  const RankModel& model = run.models[static_cast<size_t>(passes.passes.model)];
  const Load& load = passes.passes.load;
  const Factors& factors = run.rates.factors;
  std::vector<OperatorShare> shares;
  for (size_t i = 0; i < passes.works.size(); ++i) {
    const Kernel& kernel = model.kernels[i];
    const KernelWork& work = passes.works[i];
    const int runs = passes.passes.prompts ? kernel.prompt_runs : kernel.runs;
    const OperatorTime time = TimeOf(work, run.rates, kernel.launches);
    OperatorShare share{.name = kernel.name, .count = runs, .seconds = runs * time.seconds, .bound = time.bound};
    share.operations = std::llround(runs * (work.matrix_ops + work.vector_ops));
    share.bytes = std::llround(runs * work.bytes());
    const auto same =
        std::find_if(shares.begin(), shares.end(), [&](const OperatorShare& s) { return s.name == share.name; });
    if (same == shares.end()) {
      shares.push_back(std::move(share));
      continue;
    }
    if (share.seconds > same->seconds) same->bound = share.bound;
    same->count += share.count;
    same->seconds += share.seconds;
    same->operations += share.operations;
    same->bytes += share.bytes;
  }
  const auto add = [&](std::string name, int count, double seconds, RooflineBound bound, double bytes) {
    if (seconds <= 0) return;
    shares.push_back({.name = std::move(name),
                      .count = count,
                      .seconds = seconds,
                      .bound = bound,
                      .operations = 0,
                      .bytes = std::llround(bytes)});
  };
  const int ranks = run.parallelism.tensor;
  const int layers = passes.passes.prompts ? model.layers : model.layers_run;
  if (ranks > 1) {
    const double bytes = load.rows * model.stream_bytes_per_row, logits = load.logit_rows * model.logit_bytes_per_row;
    const int count = layers * model.reduces_per_layer;
    add("all-reduce", count, count * AllReduceSeconds(bytes, ranks, run.rates), RooflineBound::kLink, count * bytes);
    add("gather logits", 1, AllGatherSeconds(logits, ranks, run.rates), RooflineBound::kLink, logits);
  }
  if (model.all_to_all_bytes_per_row > 0) {
    const double bytes = load.rows * model.all_to_all_bytes_per_row;
    const int count = 2 * layers;
    add("all-to-all", count, count * ExchangeSeconds(run.parallelism, bytes, run.rates), RooflineBound::kLink,
        count * bytes);
  }
  const PassTime whole = TimeOf(run, passes, run.rates);
  add("between stages", run.parallelism.pipeline - 1, (run.parallelism.pipeline - 1) * whole.transfer,
      RooflineBound::kLink, (run.parallelism.pipeline - 1) * load.rows * model.stream_bytes_per_row);
  double sum = factors.step_s + load.sequences * factors.sequence_s;
  for (const OperatorShare& share : shares) sum += share.seconds;
  add("step", 1, factors.step_s + load.sequences * factors.sequence_s, RooflineBound::kStep, 0);
  if (run.elsewhere) add("elsewhere", 1, whole.one_way - sum, RooflineBound::kHost, 0);
  return shares;
}

}  // namespace lodestone
