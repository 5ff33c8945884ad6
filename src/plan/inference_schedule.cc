#include "plan/inference_schedule.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/units.h"
#include "plan/ledger.h"

namespace lodestone {
namespace {

// Parts of the output in each of which one step stands for all.
constexpr int kSamples = 3;

int64_t Rounded(double value) { return std::llround(value); }

// Positions that attention reads, of `position` + 1: what the model's window and eviction leave.
class Contexts {
 public:
  Contexts(const ModelConfig& config, const Methods& methods) : window_(config.sliding_window), methods_(methods) {}

  // A pass of `requests` prompts' positions [begin, end).
  Load Prompts(int requests, int64_t begin, int64_t end, bool last) const {
    const double n = requests;
    const auto rows = static_cast<double>(end - begin);
    Load load;
    load.rows = static_cast<int>(n * rows);
    load.sequences = requests;
    load.logit_rows = last ? requests : 0;
    load.context_max = Clipped(end);
    load.context_sum = Rounded(n * (SumTo(end) - SumTo(begin)));
    load.kv_tokens_read = requests * std::min(Clipped(end) + (end - begin), end);
    return load;
  }

  // A decoding step of `requests`, each of `rows` rows behind `context` positions.
  Load Decode(double requests, int rows, double context) const {
    const double read = std::min(context, static_cast<double>(Clipped(static_cast<int64_t>(context) + 1)));
    Load load;
    load.sequences = std::max(1, static_cast<int>(std::lround(requests)));
    load.rows = load.logit_rows = load.sequences * rows;
    load.context_max = static_cast<int64_t>(std::ceil(read));
    load.context_sum = Rounded(requests * rows * read);
    load.kv_tokens_read = Rounded(requests * read);
    return methods_.any() ? Apply(methods_, load) : load;
  }

 private:
  int64_t Clipped(int64_t context) const { return window_ > 0 ? std::min(context, window_) : context; }
  // Σ of positions attended by rows [0, end).
  double SumTo(int64_t end) const {
    const auto full = static_cast<double>(Clipped(end));
    return full * (full + 1) / 2 + (static_cast<double>(end) - full) * full;
  }

  int64_t window_;
  const Methods& methods_;
};

void AddPrefill(const Contexts& contexts, const Deployment& deployment, const InferenceLoad& load, int model,
                int requests, std::vector<Passes>& passes) {
  const int64_t prompt = load.prompt_tokens;
  const auto add = [&](const Load& pass, double count) {
    if (count > 0) passes.push_back({.model = model, .load = pass, .count = count, .prompts = true});
  };
  if (deployment.prefill_chunk && *deployment.prefill_chunk < prompt) {
    const int64_t chunk = *deployment.prefill_chunk;
    const int64_t whole = (prompt - 1) / chunk;  // chunks before the last
    Load mean = contexts.Prompts(1, 0, whole * chunk, false);
    mean.rows = static_cast<int>(chunk);
    mean.context_sum /= whole;
    mean.kv_tokens_read = std::min(mean.context_max, (whole + 1) * chunk / 2);
    add(mean, static_cast<double>(whole) * requests);
    add(contexts.Prompts(1, whole * chunk, prompt, true), requests);
    return;
  }
  // Whole prompts, as many as a pass takes; a pipeline wants a pass for every stage.
  int a_pass = static_cast<int>(std::clamp<int64_t>(kPrefillRows / prompt, 1, requests));
  const int stages = deployment.parallelism.pipeline;
  a_pass = std::min(a_pass, (requests + stages - 1) / stages);
  add(contexts.Prompts(a_pass, 0, prompt, true), requests / a_pass);
  if (requests % a_pass > 0) add(contexts.Prompts(requests % a_pass, 0, prompt, true), 1);
}

void AddDecode(const Contexts& contexts, const Deployment& deployment, const InferenceLoad& load, double requests,
               std::vector<Passes>& passes) {
  const auto& speculation = deployment.methods.speculation;
  const auto steps = static_cast<double>(load.output_tokens - 1);
  const int samples = std::min<int>(kSamples, static_cast<int>(load.output_tokens) - 1);
  const int groups = std::clamp(static_cast<int>(requests), 1, deployment.parallelism.pipeline);
  const double a_group = requests / groups;
  const auto add = [&](int model, int rows, double context, double count) {
    passes.push_back(
        {.model = model, .load = contexts.Decode(a_group, rows, context), .count = count, .groups = groups});
  };
  for (int i = 0; i < samples; ++i) {
    const double context = static_cast<double>(load.prompt_tokens) + 0.5 + steps * (i + 0.5) / samples;
    if (!speculation) {
      add(0, 1, context, steps / samples);
      continue;
    }
    const double rounds = steps / samples / speculation->TokensARound();
    add(1, 1, context, rounds * speculation->tokens);
    add(0, speculation->tokens + 1, context, rounds);
  }
}

// Requests of `positions` that the other machine holds.
Result<double> HeldBy(const MemoryDemand::Other& other, int64_t positions) {
  const Ledger one = LedgerOf(other.resident, {.users = 1, .context = positions, .rows_per_pass = 0}, other.capacity);
  if (one.free() < 0) {
    return Infeasible(fmt::format("offload: its part and one request of {} positions need {} of {} of {} ({})",
                                  positions, FormatBytes(one.used()), FormatBytes(other.capacity), other.machine,
                                  FormatLines(one)));
  }
  const int64_t kv = one.kv_codes + one.kv_scales;
  return kv > 0 ? 1 + static_cast<double>(one.free()) / static_cast<double>(kv) : INFINITY;
}

}  // namespace

Result<Schedule> ScheduleOf(const ModelConfig& config, const Deployment& deployment, const InferenceLoad& load,
                            const MemoryDemand& memory) {
  int64_t kept = load.prompt_tokens + load.output_tokens;
  if (config.sliding_window > 0) kept = std::min(kept, config.sliding_window);
  if (deployment.methods.kv_budget) kept = std::min(kept, *deployment.methods.kv_budget);
  const int64_t rows = deployment.prefill_chunk
                           ? std::min<int64_t>(*deployment.prefill_chunk, load.prompt_tokens)
                           : std::max(load.prompt_tokens, std::min(kPrefillRows, load.prompt_tokens * load.batch));
  Demand demand{.users = 1, .context = kept, .rows_per_pass = static_cast<int>(rows), .decode_rows = 1};
  const int64_t usable = memory.capacity - memory.extra_bytes;
  const Ledger one = LedgerOf(memory.resident, demand, usable);
  if (one.free() < 0) {
    const int64_t resident = one.weight_codes + one.weight_scales + one.norms_biases;
    const auto of = [](int64_t a, int64_t b) { return static_cast<double>(a) / static_cast<double>(b); };
    const int64_t a_token = memory.resident.kv_code_bytes_per_token + memory.resident.kv_scale_bytes_per_token;
    std::string would;
    if (resident + one.buffers < usable) {
      would = fmt::format("{} positions would fit", (usable - resident - one.buffers) / std::max<int64_t>(a_token, 1));
    } else if (resident < usable) {
      would = "prompts in chunks of fewer rows (a prefill chunk), or a smaller batch, would fit";
    } else {
      // Half of a device for weights leaves room for KV and buffers.
      would = fmt::format("about {:.0f} × as many devices would hold it, or smaller formats",
                          std::ceil(2 * of(resident, std::max<int64_t>(usable, 1))));
    }
    return Infeasible(fmt::format("{} on {} of {}: one request of {} positions needs {} of {} a device ({}); {}",
                                  config.name, deployment.parallelism.devices(), deployment.machine.name, kept,
                                  FormatBytes(one.used()), FormatBytes(usable), FormatLines(one), would));
  }
  const double kv = static_cast<double>(std::max<int64_t>(one.kv_codes + one.kv_scales, 1));
  Schedule schedule;
  schedule.concurrent = std::min<double>(load.batch, 1 + static_cast<double>(one.free()) / kv);
  if (memory.other) {
    LODESTONE_ASSIGN_OR_RETURN(const double there, HeldBy(*memory.other, kept));
    schedule.concurrent = std::min(schedule.concurrent, there);
  }
  schedule.waves = load.batch / schedule.concurrent;
  demand.users = static_cast<int>(schedule.concurrent);
  schedule.ledger = LedgerOf(memory.resident, demand, memory.capacity);
  schedule.ledger.buffers += memory.extra_bytes;

  const Contexts contexts(config, deployment.methods);
  const int whole = std::max(1, static_cast<int>(std::lround(schedule.concurrent)));
  AddPrefill(contexts, deployment, load, 0, whole, schedule.prefill);
  const auto& speculation = deployment.methods.speculation;
  if (speculation && !speculation->draft.empty()) AddPrefill(contexts, deployment, load, 1, whole, schedule.prefill);
  // Requests are held in fractions on average; prompts are whole.
  for (Passes& passes : schedule.prefill) passes.count *= schedule.concurrent / whole;
  AddDecode(contexts, deployment, load, schedule.concurrent, schedule.decode);
  return schedule;
}

}  // namespace lodestone
