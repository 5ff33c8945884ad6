#include "cli/plan.h"

#include <fmt/format.h>

#include "appliance/machine.h"
#include "base/quote.h"
#include "base/units.h"
#include "cli/command.h"
#include "cli/layout.h"
#include "cli/output.h"
#include "cli/plan_search.h"
#include "cli/plan_table.h"
#include "model/open_model.h"
#include "plan/stage_costs.h"
#include "timing/northpole.h"

namespace lodestone::cli {

namespace {

// Appliance, model, recipe and context: what both a plan and a search begin with.
struct Inputs {
  std::optional<ApplianceSpec> spec;
  ModelConfig config;
  Recipe recipe;
  int users = 1;
  int64_t context = 0;
};

Result<Inputs> ReadInputs(const RunOptions& run) {
  Inputs plan;
  LODESTONE_ASSIGN_OR_RETURN(plan.spec, OpenAppliance(run.appliance));
  LODESTONE_ASSIGN_OR_RETURN(plan.config, OpenShape(run.model));
  LODESTONE_ASSIGN_OR_RETURN(plan.recipe, RecipeOf(run, plan.config));
  plan.users = static_cast<int>(run.users.value_or(1));
  plan.context = run.context.value_or(plan.config.max_positions);
  if (plan.context > plan.config.max_positions) {
    return Infeasible(fmt::format("--context is {} and '{}' has {} positions", plan.context, plan.config.name,
                                  plan.config.max_positions));
  }
  return plan;
}

std::string Heading(const ModelConfig& config, const Recipe& recipe, int users, int64_t context,
                    const std::string& appliance) {
  return fmt::format("{} · {} · {} × {} on {}\n\n", config.name, recipe.name, Counted(users, "user"),
                     Counted(context, "position"), appliance);
}

// The fullest core of each kind of card.
std::string RenderCores(const Plan& plan) {
  std::string text;
  for (const StageGroup& group : GroupStages(plan.placement)) {
    const StageMapping& mapping = plan.mappings[group.first];
    text += fmt::format("{}{} of {} ({})", text.empty() ? "  fullest core of a card: " : ", ",
                        FormatBytes(mapping.fullest_core_bytes), FormatBytes(mapping.core_memory_bytes), group.label);
  }
  return Wrap(text, kWidth, 4) + "\n";
}

}  // namespace

Result<Plan> MakePlan(const RunOptions& run) {
  LODESTONE_ASSIGN_OR_RETURN(Inputs inputs, ReadInputs(run));
  Plan plan;
  plan.spec = std::move(inputs.spec);
  plan.config = std::move(inputs.config);
  plan.recipe = std::move(inputs.recipe);
  const auto groups = static_cast<int>(run.micro_batches.value_or(DefaultMicroBatches(plan.spec, inputs.users)));
  plan.demand = DemandOf(inputs.users, groups, inputs.context, inputs.context, static_cast<int>(run.prefill_chunk));
  LODESTONE_ASSIGN_OR_RETURN(plan.placement, PlaceOn(plan.spec, plan.config, plan.recipe, plan.demand));
  if (plan.spec) {
    const auto timing = MakeNorthPoleTiming(plan.spec->card.chip, Fidelity::kCalibrated);
    LODESTONE_ASSIGN_OR_RETURN(plan.mappings, MapStages(plan.placement, *timing));
  }
  return plan;
}

std::string RenderPlan(const Plan& plan, const RunOptions& run) {
  const Placement& placement = plan.placement;
  std::string text = Heading(plan.config, plan.recipe, plan.demand.users, plan.demand.context, run.appliance);
  text += RenderPlacement(placement);
  text += fmt::format("\n  cards used: {} of {}; instances of the model that fit side by side: {}\n",
                      placement.cards_used, placement.cards, placement.instances);
  text += fmt::format("  at most, by memory: {} at this context, or {} for these users\n",
                      Counted(placement.max_users, "user"), Counted(placement.max_context, "position"));
  text += fmt::format("  buffers hold passes of {} at most\n", Counted(plan.demand.rows_per_pass, "row"));
  if (!plan.mappings.empty()) text += RenderCores(plan);
  text += fmt::format("  embedding tables on the host: {}\n", FormatBytes(placement.host_bytes));
  return text;
}

namespace {

Json ToJson(const Ledger& ledger) {
  Json json;
  json.Set("weight_codes_bytes", ledger.weight_codes).Set("weight_scales_bytes", ledger.weight_scales);
  json.Set("norms_biases_bytes", ledger.norms_biases);
  json.Set("kv_codes_bytes", ledger.kv_codes).Set("kv_scales_bytes", ledger.kv_scales);
  json.Set("buffers_bytes", ledger.buffers).Set("free_bytes", ledger.free()).Set("capacity_bytes", ledger.capacity);
  return json;
}

Json WorkloadJson(const ModelConfig& config, const Recipe& recipe, int users, int64_t context) {
  Json workload;
  workload.Set("model", config.name).Set("recipe", recipe.name).Set("users", users).Set("context", context);
  return workload;
}

Json ToJson(const Plan& plan, const RunOptions& run) {
  Json target;
  target.Set("appliance", run.appliance).Set("cards", plan.placement.cards);
  target.Set("cards_used", plan.placement.cards_used).Set("instances", plan.placement.instances);
  Json::Array stages;
  for (size_t i = 0; i < plan.placement.stages.size(); ++i) {
    const PlacedStage& placed = plan.placement.stages[i];
    Json stage;
    stage.Set("stage", placed.stage.label).Set("card", placed.card).Set("memory", ToJson(placed.ledger));
    if (!plan.mappings.empty()) stage.Set("fullest_core_bytes", plan.mappings[i].fullest_core_bytes);
    stages.push_back(std::move(stage));
  }
  Json json;
  json.Set("workload", WorkloadJson(plan.config, plan.recipe, plan.demand.users, plan.demand.context));
  json.Set("target", std::move(target)).Set("stages", std::move(stages));
  json.Set("max_users", plan.placement.max_users).Set("max_context", plan.placement.max_context);
  json.Set("host_bytes", plan.placement.host_bytes);
  return json;
}

class PlanCommand final : public Command {
 public:
  CommandLine Line() override {
    return {
        .name = "plan",
        .summary = "Which card holds which part of a model, and whether it fits.",
        .details =
            "Lists every card's memory: weight codes, scales, norms and biases, KV codes and scales, buffers "
            "and what stays free. A plan that does not fit is refused with the reason and what would fit. With "
            "--search it compares the ways in which layers, their halves and the output layer can lie on the "
            "cards, and proposes the best few with their reasons.",
        .options = {ModelOption(run_, false),
                    ApplianceOption(run_,
                                    "Where to place it: this host, a name that 'lodestone hardware' lists, or a "
                                    "TOML file (default cpu)."),
                    RecipeOption(run_),
                    UsersOption(run_, "Users that generate together (default 1)."),
                    ContextOption(run_, "Positions of each user, prompt and output (default: the model's)."),
                    MicroBatchesOption(run_),
                    {.name = "--prefill-chunk",
                     .value = "K",
                     .help = fmt::format(
                         "Prompt tokens in one pass at most (default {}; with --search up to {}, as memory allows).",
                         kPlanChunk, kLargestChunk),
                     .target = &prefill_chunk_,
                     .min = 1,
                     .max = 1 << 20},
                    {.name = "--search",
                     .value = "",
                     .help = "Compare placements on simulated cards and propose the best few.",
                     .target = &search_},
                    {.name = "--objective",
                     .value = "throughput|latency|cards",
                     .help = "What --search looks for: the most tokens a second of all instances that fit side by "
                             "side, the shortest time between a user's tokens, or the fewest cards an instance "
                             "(default throughput).",
                     .target = &objective_},
                    JsonOption(run_)},
        .examples = {{"the NorthPole paper's model on its sixteen cards",
                      "lodestone plan --model granite-3b-14l --appliance northpole-16 --recipe w4a4:static \\\n"
                      "    --users 28 --context 2048"},
                     {"an 8B model on a rack of 288 cards",
                      "lodestone plan --model granite-3.3-8b --appliance northpole-288 --recipe w4a8c8 \\\n"
                      "    --users 28 --context 2048"},
                     {"how else it could lie there",
                      "lodestone plan --search --model granite-3.3-8b --appliance northpole-288 --recipe w4a8c8 \\\n"
                      "    --users 28 --context 2048"}}};
  }

  Status Run() override {
    if (search_) return RunSearch();
    if (objective_) return Invalid("--objective says what --search looks for: give --search as well");
    run_.prefill_chunk = prefill_chunk_.value_or(kPlanChunk);
    LODESTONE_ASSIGN_OR_RETURN(const Plan plan, MakePlan(run_));
    if (run_.json) {
      PrintJson(ToJson(plan, run_));
    } else {
      Print(RenderPlan(plan, run_));
    }
    return {};
  }

 private:
  Status RunSearch() {
    LODESTONE_ASSIGN_OR_RETURN(const Inputs inputs, ReadInputs(run_));
    if (!inputs.spec) {
      return Unsupported(
          "--search compares placements on simulated cards, and 'cpu' is this host, one card: name an appliance that "
          "'lodestone hardware' lists");
    }
    SearchOptions options;
    options.users = inputs.users;
    options.context = inputs.context;
    if (prefill_chunk_) options.prefill_chunk = static_cast<int>(*prefill_chunk_);
    if (run_.micro_batches) options.micro_batches = static_cast<int>(*run_.micro_batches);
    if (objective_) {
      const std::optional<Objective> objective = ParseObjective(*objective_);
      if (!objective) {
        return Invalid(
            fmt::format("--objective: found {}, expected throughput, latency or cards", Quoted(*objective_)));
      }
      options.objective = *objective;
    }
    const auto timing = MakeNorthPoleTiming(inputs.spec->card.chip, Fidelity::kCalibrated);
    LODESTONE_ASSIGN_OR_RETURN(const SearchResult found,
                               SearchPlacements(inputs.config, inputs.recipe, *inputs.spec, *timing, options));
    if (run_.json) {
      Json json;
      json.Set("workload", WorkloadJson(inputs.config, inputs.recipe, inputs.users, inputs.context));
      Json target;
      target.Set("appliance", run_.appliance).Set("cards", inputs.spec->cards);
      json.Set("target", std::move(target)).Set("search", cli::ToJson(found, options));
      PrintJson(json);
    } else {
      Print(Heading(inputs.config, inputs.recipe, inputs.users, inputs.context, run_.appliance) +
            RenderSearch(found, *inputs.spec, options));
    }
    return {};
  }

  RunOptions run_;
  std::optional<int64_t> prefill_chunk_;
  std::optional<std::string> objective_;
  bool search_ = false;
};

}  // namespace

std::unique_ptr<Command> MakePlan() { return std::make_unique<PlanCommand>(); }

}  // namespace lodestone::cli
