#include "cli/plan.h"

#include <fmt/format.h>

#include "appliance/machine.h"
#include "base/units.h"
#include "cli/command.h"
#include "cli/layout.h"
#include "cli/output.h"
#include "cli/plan_table.h"
#include "model/open_model.h"

namespace lodestone::cli {

Result<Plan> MakePlan(const RunOptions& run) {
  Plan plan;
  LODESTONE_ASSIGN_OR_RETURN(plan.spec, OpenAppliance(run.appliance));
  LODESTONE_ASSIGN_OR_RETURN(plan.config, OpenShape(run.model));
  LODESTONE_ASSIGN_OR_RETURN(plan.recipe, RecipeOf(run, plan.config));
  const int64_t context = run.context.value_or(plan.config.max_positions);
  if (context > plan.config.max_positions) {
    return Infeasible(
        fmt::format("--context is {} and '{}' has {} positions", context, plan.config.name, plan.config.max_positions));
  }
  const auto users = static_cast<int>(run.users.value_or(1));
  const auto groups = static_cast<int>(run.micro_batches.value_or(DefaultMicroBatches(plan.spec, users)));
  plan.demand = DemandOf(users, groups, context, context, static_cast<int>(run.prefill_chunk));
  LODESTONE_ASSIGN_OR_RETURN(plan.placement, PlaceOn(plan.spec, plan.config, plan.recipe, plan.demand));
  return plan;
}

std::string RenderPlan(const Plan& plan, const RunOptions& run) {
  const Placement& placement = plan.placement;
  std::string text =
      fmt::format("{} · {} · {} × {} on {}\n\n", plan.config.name, plan.recipe.name, Counted(plan.demand.users, "user"),
                  Counted(plan.demand.context, "position"), run.appliance);
  text += RenderPlacement(placement);
  text += fmt::format("\n  cards used: {} of {}; instances of the model that fit side by side: {}\n",
                      placement.cards_used, placement.cards, placement.instances);
  text += fmt::format("  at most, by memory: {} at this context, or {} for these users\n",
                      Counted(placement.max_users, "user"), Counted(placement.max_context, "position"));
  text += fmt::format("  buffers hold passes of {} at most\n", Counted(plan.demand.rows_per_pass, "row"));
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

Json ToJson(const Plan& plan, const RunOptions& run) {
  Json workload;
  workload.Set("model", plan.config.name).Set("recipe", plan.recipe.name);
  workload.Set("users", plan.demand.users).Set("context", plan.demand.context);
  Json target;
  target.Set("appliance", run.appliance).Set("cards", plan.placement.cards);
  target.Set("cards_used", plan.placement.cards_used).Set("instances", plan.placement.instances);
  Json::Array stages;
  for (const PlacedStage& placed : plan.placement.stages) {
    Json stage;
    stage.Set("stage", placed.stage.label).Set("card", placed.card).Set("memory", ToJson(placed.ledger));
    stages.push_back(std::move(stage));
  }
  Json json;
  json.Set("workload", std::move(workload)).Set("target", std::move(target)).Set("stages", std::move(stages));
  json.Set("max_users", plan.placement.max_users).Set("max_context", plan.placement.max_context);
  json.Set("host_bytes", plan.placement.host_bytes);
  return json;
}

class PlanCommand final : public Command {
 public:
  PlanCommand() { run_.prefill_chunk = kPlanChunk; }

  CommandLine Line() override {
    return {.name = "plan",
            .summary = "Which card holds which part of a model, and whether it fits.",
            .details =
                "Lists every card's memory: weight codes, scales, norms and biases, KV codes and scales, buffers "
                "and what stays free. A plan that does not fit is refused with the reason and what would fit.",
            .options = {ModelOption(run_, false),
                        ApplianceOption(run_,
                                        "Where to place it: this host, a name that 'lodestone hardware' lists, or a "
                                        "TOML file (default cpu)."),
                        RecipeOption(run_), UsersOption(run_, "Users that generate together (default 1)."),
                        ContextOption(run_, "Positions of each user, prompt and output (default: the model's)."),
                        MicroBatchesOption(run_), PrefillChunkOption(run_), JsonOption(run_)},
            .examples = {{"the NorthPole paper's model on its sixteen cards",
                          "lodestone plan --model granite-3b-14l --appliance northpole-16 --recipe w4a4:static \\\n"
                          "    --users 28 --context 2048"},
                         {"an 8B model on a rack of 288 cards",
                          "lodestone plan --model granite-3.3-8b --appliance northpole-288 --recipe w4a8c8 \\\n"
                          "    --users 28 --context 2048"}}};
  }

  Status Run() override {
    LODESTONE_ASSIGN_OR_RETURN(const Plan plan, MakePlan(run_));
    if (run_.json) {
      PrintJson(ToJson(plan, run_));
    } else {
      Print(RenderPlan(plan, run_));
    }
    return {};
  }

 private:
  RunOptions run_;
};

}  // namespace

std::unique_ptr<Command> MakePlan() { return std::make_unique<PlanCommand>(); }

}  // namespace lodestone::cli
