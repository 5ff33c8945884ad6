#include "lab/simulation.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "lab/batch.h"
#include "lab/equal_users.h"

namespace lodestone {
namespace {

Status CheckNumber(const char* what, int64_t value, int64_t most) {
  if (value >= 1 && value <= most) return {};
  return Invalid(fmt::format("{} {}, expected 1 to {}", value, what, most));
}

// Groups that take turns. They come back in the order in which they were submitted, so those inside the chain and those
// in line for it are one ring: the oldest inside first, those in line behind the youngest.
class Turns {
 public:
  explicit Turns(int groups) : ring_(static_cast<size_t>(groups)), line_(ring_.size()) {
    for (size_t i = 0; i < ring_.size(); ++i) ring_[i] = i;
  }
  size_t inside() const { return inside_; }
  bool line_empty() const { return line_ == 0; }
  size_t Enter() {
    --line_;
    return ring_[(first_ + inside_++) % ring_.size()];
  }
  size_t Leave() {
    --inside_;
    return ring_[std::exchange(first_, (first_ + 1) % ring_.size())];
  }
  void Line(size_t group) { ring_[(first_ + inside_ + line_++) % ring_.size()] = group; }

 private:
  std::vector<size_t> ring_;
  size_t first_ = 0, inside_ = 0, line_;
};

// User u of the batch is the (u div groups)-th of micro-batch u mod groups: as the engine deals them.
struct Batch {
  std::vector<EqualUsers> groups;
  std::vector<UserTimes> users;
  int64_t passes = 0;

  explicit Batch(const SimulationOptions& options) : users(static_cast<size_t>(options.users)) {
    const int count = std::min(options.users, options.micro_batches);
    groups.reserve(static_cast<size_t>(count));
    for (int g = 0; g < count; ++g) {
      groups.emplace_back((options.users - g + count - 1) / count, options.prompt_tokens, options.output_tokens,
                          options.prefill_chunk);
    }
    for (UserTimes& user : users) user.generated = options.output_tokens;
  }

  UserTimes& User(size_t group, int index) { return users[group + static_cast<size_t>(index) * groups.size()]; }

  Status Run(Appliance& appliance) {
    Turns turns(static_cast<int>(groups.size()));
    for (const size_t credit = static_cast<size_t>(appliance.max_in_flight());;) {
      while (!turns.line_empty() && turns.inside() < credit) {
        Pass pass;
        pass.id = static_cast<uint64_t>(passes++);
        pass.load = groups[turns.Enter()].Next();
        LODESTONE_RETURN_IF_ERROR(appliance.Submit(pass));
      }
      LODESTONE_ASSIGN_OR_RETURN(const std::optional<Done> done, appliance.Next());
      if (!done) return {};
      const size_t group = turns.Leave();
      const EqualUsers::Returned returned = groups[group].Return();
      for (int i = returned.began.begin; i < returned.began.end; ++i) User(group, i).first_token = done->finished;
      for (int i = returned.ended.begin; i < returned.ended.end; ++i) User(group, i).finished = done->finished;
      if (!groups[group].done()) turns.Line(group);
    }
  }
};

Bottleneck BottleneckOf(const Appliance& appliance, const SimulationOptions& options, const SimulatedRun& run) {
  const auto busiest = std::max_element(run.stages.begin(), run.stages.end(),
                                        [](const StageStats& a, const StageStats& b) { return a.busy < b.busy; });
  if (busiest == run.stages.end() || run.elapsed == Time{}) return {};
  const auto stage = static_cast<size_t>(busiest - run.stages.begin());
  return {.stage = static_cast<int>(stage),
          .occupancy = busiest->busy.seconds() / run.elapsed.seconds(),
          .resource = appliance.CostsOf(TypicalDecodeLoad(options))[stage].bound};
}

}  // namespace

const char* Bottleneck::bound() const { return occupancy >= kBusy ? ToString(resource) : "chain"; }

EnergyLedger EnergyOf(const ApplianceSpec& spec, std::span<const StageStats> stages, int cards, Time elapsed) {
  EnergyParts parts;
  Energy link;
  for (const StageStats& stage : stages) {
    parts += stage.energy;
    link += stage.link_energy;
  }
  return {.static_j = spec.card.static_power_w.value * elapsed.seconds() * cards,
          .matrix_j = parts.matrix.joules(),
          .memory_j = parts.memory.joules(),
          .vector_j = parts.vector.joules(),
          .network_j = parts.network.joules(),
          .link_j = link.joules()};
}

Json ToJson(const EnergyLedger& energy) {
  Json json;
  json.Set("static_j", energy.static_j).Set("matrix_j", energy.matrix_j).Set("memory_j", energy.memory_j);
  json.Set("vector_j", energy.vector_j).Set("network_j", energy.network_j).Set("link_j", energy.link_j);
  json.Set("total_j", energy.total_j());
  return json;
}

Status CheckSimulation(const SimulationOptions& options) {
  LODESTONE_RETURN_IF_ERROR(CheckNumber("users", options.users, kMaxPlacedUsers));
  LODESTONE_RETURN_IF_ERROR(CheckNumber("micro-batches", options.micro_batches, std::numeric_limits<int>::max()));
  LODESTONE_RETURN_IF_ERROR(CheckNumber("tokens in a prefill chunk", options.prefill_chunk, kMaxPlacedRows));
  LODESTONE_RETURN_IF_ERROR(CheckNumber("prompt tokens", options.prompt_tokens, kMaxPlacedContext));
  LODESTONE_RETURN_IF_ERROR(CheckNumber("tokens to generate", options.output_tokens, kMaxPlacedContext));
  const int64_t context = options.prompt_tokens + options.output_tokens;
  if (context > options.config.max_positions) {
    return Infeasible(fmt::format("{} prompt tokens and {} to generate need {} positions, and '{}' has {}",
                                  options.prompt_tokens, options.output_tokens, context, options.config.name,
                                  options.config.max_positions));
  }
  if (options.users * context > kMaxSimulatedTokens) {
    return Infeasible(fmt::format(
        "{} users with {} prompt and {} generated tokens each are {} tokens; at most {} are "
        "simulated in one run: take fewer users or tokens",
        options.users, options.prompt_tokens, options.output_tokens, options.users * context, kMaxSimulatedTokens));
  }
  if (const int64_t pages = options.users * PagesPerUser(context); pages > std::numeric_limits<int>::max()) {
    return Infeasible(fmt::format("{} users with {} positions each need {} KV pages; at most {} can be numbered",
                                  options.users, context, pages, std::numeric_limits<int>::max()));
  }
  return {};
}

Workload WorkloadOf(const SimulationOptions& options) {
  return {.model = options.config.name,
          .recipe = options.recipe.name,
          .users = options.users,
          .micro_batches = std::min(options.micro_batches, options.users),
          .prompt_tokens = options.prompt_tokens,
          .output_tokens = options.output_tokens,
          .prefill_chunk = options.prefill_chunk,
          .seed = 0};
}

Result<std::optional<PublishedRun>> PublishedBeside(const SimulationOptions& options) {
  if (options.transfers != Transfers::kDirect) return std::optional<PublishedRun>();
  return PublishedRunOf(WorkloadOf(options), options.spec.name);
}

Demand DemandOf(const SimulationOptions& options) {
  return DemandOf(options.users, options.micro_batches, options.prompt_tokens + options.output_tokens,
                  options.prompt_tokens, options.prefill_chunk);
}

Result<Placement> PlacementOf(const SimulationOptions& options) {
  LODESTONE_RETURN_IF_ERROR(CheckSimulation(options));
  if (options.placement) return *options.placement;
  return Place(options.config, options.recipe, options.spec, DemandOf(options));
}

Result<OpenedMachine> OpenSimulation(const SimulationOptions& options) {
  LODESTONE_ASSIGN_OR_RETURN(Placement placement, PlacementOf(options));
  LODESTONE_ASSIGN_OR_RETURN(
      OpenedMachine machine,
      OpenMachine(options.spec, std::move(placement), {.fidelity = options.fidelity, .transfers = options.transfers}));
  const int64_t pages = options.users * PagesPerUser(options.prompt_tokens + options.output_tokens);
  LODESTONE_RETURN_IF_ERROR(machine.appliance->Configure(nullptr, static_cast<int>(pages)));
  return machine;
}

Result<SimulatedRun> SimulateBatch(const SimulationOptions& options, FlowObserver* observer) {
  LODESTONE_ASSIGN_OR_RETURN(const OpenedMachine machine, OpenSimulation(options));
  Appliance& appliance = *machine.appliance;
  appliance.Observe(observer);
  Batch batch(options);
  LODESTONE_RETURN_IF_ERROR(batch.Run(appliance));

  SimulatedRun result;
  result.placement = appliance.placement();
  result.stages = appliance.stats();
  result.framebuffers = appliance.framebuffers();
  for (const UserTimes& user : batch.users) result.elapsed = std::max(result.elapsed, user.finished);
  result.passes = batch.passes;
  result.tokens = options.users * (options.prompt_tokens + options.output_tokens);
  const int cards = result.placement.cards_used;
  result.bottleneck = BottleneckOf(appliance, options, result);
  result.energy = EnergyOf(options.spec, result.stages, cards, result.elapsed);
  BatchRun& run = result.run;
  run = BatchRunOf(batch.users, Time{}, cards);
  run.provenance = run.power_provenance = Provenance::kSimulated;
  run.transistors_per_card = options.spec.card.chip.transistors.value;
  if (result.elapsed > Time{}) run.power_w_per_card = result.energy.total_j() / result.elapsed.seconds() / cards;
  return result;
}

Load TypicalDecodeLoad(const SimulationOptions& options) {
  const int group = LargestGroup(options.users, options.micro_batches);
  const int64_t context = options.prompt_tokens + (options.output_tokens + 1) / 2;
  return {.rows = group,
          .logit_rows = group,
          .sequences = group,
          .context_sum = group * context,
          .context_max = context,
          .kv_tokens_read = group * context};
}

Load TypicalPrefillLoad(const SimulationOptions& options) {
  const int64_t rows = std::min<int64_t>(options.prefill_chunk, options.prompt_tokens);
  const int64_t first = (options.prompt_tokens - rows) / 2, end = first + rows;
  return {.rows = static_cast<int>(rows),
          .logit_rows = end == options.prompt_tokens ? 1 : 0,
          .sequences = 1,
          .context_sum = rows * (first + 1 + end) / 2,
          .context_max = end,
          .kv_tokens_read = end};
}

}  // namespace lodestone
