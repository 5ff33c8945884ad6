#include "cli/simulate.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>

#include "appliance/machine.h"
#include "cli/command.h"
#include "cli/layout.h"
#include "cli/output.h"
#include "cli/power.h"
#include "cli/version.h"
#include "model/open_model.h"
#include "report/comparison.h"

namespace lodestone::cli {
namespace {

// What both runs of one simulation share.
struct Setting {
  ModelConfig config;
  Recipe recipe;
  ApplianceSpec spec;
  Placement placement;
  BatchOptions batch;
};

Result<Setting> PrepareSimulation(const SimulateOptions& options) {
  const RunOptions& run = options.run;
  Setting setting;
  LODESTONE_ASSIGN_OR_RETURN(std::optional<ApplianceSpec> spec, OpenAppliance(run.appliance));
  if (!spec) {
    return Unsupported(
        "simulate needs simulated cards, and 'cpu' is this host: name an appliance that 'lodestone "
        "hardware' lists, or measure the cpu with 'lodestone generate'");
  }
  setting.spec = *std::move(spec);
  LODESTONE_ASSIGN_OR_RETURN(setting.config, OpenShape(run.model));
  LODESTONE_ASSIGN_OR_RETURN(setting.recipe, RecipeOf(run, setting.config));
  const int64_t context = options.prompt_tokens + options.tokens;
  if (context > setting.config.max_positions) {
    return Infeasible(fmt::format("{} prompt tokens and {} to generate need {} positions, and '{}' has {}",
                                  options.prompt_tokens, options.tokens, context, setting.config.name,
                                  setting.config.max_positions));
  }
  const auto users = static_cast<int>(run.users.value_or(1));
  setting.batch = {
      .users = users,
      .micro_batches = static_cast<int>(run.micro_batches.value_or(DefaultMicroBatches(setting.spec, users))),
      .prefill_chunk = static_cast<int>(run.prefill_chunk),
      .context = context};
  const Demand demand =
      DemandOf(users, setting.batch.micro_batches, context, options.prompt_tokens, setting.batch.prefill_chunk);
  LODESTONE_ASSIGN_OR_RETURN(setting.placement, Place(setting.config, setting.recipe, setting.spec, demand));
  return setting;
}

Result<BatchResult> RunOnce(const Setting& setting, const SimulateOptions& options, Fidelity fidelity,
                            const std::function<void()>& on_token) {
  LODESTONE_ASSIGN_OR_RETURN(Machine machine, OpenMachine(setting.spec, setting.placement, {.fidelity = fidelity}));
  const int64_t pages = setting.batch.users * PagesPerUser(setting.batch.context);
  LODESTONE_RETURN_IF_ERROR(machine.appliance->Configure(nullptr, static_cast<int>(pages)));
  std::vector<Request> requests(static_cast<size_t>(setting.batch.users));
  for (Request& request : requests) {
    request.prompt.resize(static_cast<size_t>(options.prompt_tokens));
    request.max_tokens = options.tokens;
  }
  LODESTONE_ASSIGN_OR_RETURN(BatchResult result,
                             RunBatch(*machine.appliance, *machine.timeline, setting.config, nullptr, setting.batch,
                                      std::move(requests), [&](size_t, const TokenEvent&) { on_token(); }));
  SetPower(setting.spec, options.run.power_w, nullptr, result.elapsed, &result.run);
  return result;
}

// Busy time over the time of the run.
std::vector<double> OccupancyOf(const Simulation& simulation) {
  std::vector<double> shares;
  for (const StageStats& stage : simulation.stages) {
    shares.push_back(simulation.elapsed > Time{} ? stage.busy.seconds() / simulation.elapsed.seconds() : 0);
  }
  return shares;
}

}  // namespace

Result<Simulation> Simulate(const SimulateOptions& options, const std::function<void()>& on_token) {
  LODESTONE_ASSIGN_OR_RETURN(const Setting setting, PrepareSimulation(options));
  LODESTONE_ASSIGN_OR_RETURN(BatchResult ideal, RunOnce(setting, options, Fidelity::kIdeal, on_token));
  Simulation simulation;
  simulation.ideal = MeasuresWithReasons(ideal.run, setting.spec);
  BatchResult shown = ideal;
  if (!options.ideal) {
    LODESTONE_ASSIGN_OR_RETURN(shown, RunOnce(setting, options, Fidelity::kCalibrated, on_token));
  }
  RunRecord& record = simulation.record;
  record.workload = {.model = setting.config.name,
                     .recipe = setting.recipe.name,
                     .users = setting.batch.users,
                     .micro_batches = std::min(setting.batch.micro_batches, setting.batch.users),
                     .prompt_tokens = options.prompt_tokens,
                     .output_tokens = options.tokens,
                     .prefill_chunk = setting.batch.prefill_chunk,
                     .seed = 0};
  record.target = {.appliance = options.run.appliance,
                   .cards = shown.run.cards,
                   .power_w_per_card = shown.run.power_w_per_card,
                   .transistors_per_card = shown.run.transistors_per_card};
  record.measures = MeasuresWithReasons(shown.run, setting.spec);
  record.assumed = AssumptionsOf(setting.spec, options.ideal);
  record.environment = {{"version", Version()}, {"fidelity", options.ideal ? "ideal" : "calibrated"}};
  LODESTONE_ASSIGN_OR_RETURN(simulation.published, PublishedRunOf(record.workload, setting.spec.name));
  if (simulation.published) record.published = simulation.published->figures;
  simulation.stages = std::move(shown.stages);
  simulation.elapsed = shown.elapsed;
  simulation.passes = shown.passes;
  return simulation;
}

std::string RenderOccupancy(const Simulation& simulation) {
  const std::vector<double> shares = OccupancyOf(simulation);
  if (shares.empty()) return "";
  double sum = 0;
  for (const double share : shares) sum += share;
  const auto [low, high] = std::minmax_element(shares.begin(), shares.end());
  const auto label = [&](auto at) { return simulation.stages[static_cast<size_t>(at - shares.begin())].label; };
  return fmt::format("  Occupancy of the stages: {:.0f} % at least ({}), {:.0f} % on average, {:.0f} % at most ({})\n",
                     *low * 100, label(low), sum / static_cast<double>(shares.size()) * 100, *high * 100, label(high));
}

std::string RenderSimulation(const Simulation& simulation, bool calibrated) {
  const RunRecord& record = simulation.record;
  std::string text = RenderComparison(calibrated ? std::optional(record.measures) : std::nullopt, simulation.ideal,
                                      simulation.published);
  text += "\n" + RenderOccupancy(simulation);
  if (simulation.published) {
    text += Wrap(fmt::format("  Published: {}", simulation.published->source), kWidth, 4) + "\n";
  }
  return text;
}

namespace {

std::string RenderAssumptions(const std::vector<Assumption>& assumptions) {
  std::string text;
  for (const Assumption& assumption : assumptions) {
    text +=
        Wrap(fmt::format("  {} = {}, {}", assumption.name, PlainNumber(assumption.value), assumption.note), kWidth, 4) +
        "\n";
  }
  return text;
}

class SimulateCommand final : public Command {
 public:
  CommandLine Line() override {
    RunOptions& run = options_.run;
    constexpr auto kMax = static_cast<double>(kMaxPositionsOption);
    Option appliance =
        ApplianceOption(run, "The simulated cards: a name that 'lodestone hardware' lists, or a TOML file.");
    appliance.value = "NAME|FILE";
    appliance.required = true;
    return {
        .name = "simulate",
        .summary = "How fast a workload would run on simulated cards, without weights.",
        .details =
            "The same schedule, stages and links as a run with tokens, on a virtual clock. 'calibrated' uses the few "
            "constants that no source gives, listed below the figures; 'ideal' uses the chip's rates alone. "
            "Published figures stand beside where the workload is a published one.",
        .options =
            {ModelOption(run, false),
             appliance,
             RecipeOption(run),
             UsersOption(run, "Users that generate together (default 1)."),
             MicroBatchesOption(run),
             {.name = "--prompt-tokens",
              .value = "P",
              .help = "Prompt tokens of every user.",
              .target = &options_.prompt_tokens,
              .min = 1,
              .max = kMax,
              .required = true},
             {.name = "--tokens",
              .value = "T",
              .help = "Tokens that every user generates.",
              .target = &options_.tokens,
              .min = 1,
              .max = kMax,
              .required = true},
             PrefillChunkOption(run),
             PowerOption(run),
             {.name = "--ideal", .value = "", .help = "Rates alone: no fitted constants.", .target = &options_.ideal},
             JsonOption(run)},
        .examples = {{"the run of the NorthPole paper (HPEC 2024), beside its figures",
                      "lodestone simulate --model granite-3b-14l --appliance northpole-16 --recipe w4a4 --users 28 \\\n"
                      "    --micro-batches 14 --prompt-tokens 1024 --tokens 1024"},
                     {"one user alone",
                      "lodestone simulate --model granite-3b-14l --appliance northpole-16 --recipe w4a4 \\\n"
                      "    --prompt-tokens 1024 --tokens 1024"}}};
  }

  Status Run() override {
    const int64_t users = options_.run.users.value_or(1);
    Progress progress("tokens", users * options_.tokens * (options_.ideal ? 1 : 2));
    LODESTONE_ASSIGN_OR_RETURN(const Simulation simulation, Simulate(options_, [&] { progress.Advance(); }));
    progress.Erase();
    if (options_.run.json) {
      PrintJson(Record(simulation));
      return {};
    }
    const Workload& work = simulation.record.workload;
    Print(
        fmt::format("{} · {} · on {} cards of {}\n{} users in {} micro-batches, {} prompt tokens and {} generated "
                    "tokens each, chunks of {}\n\n",
                    work.model, work.recipe, simulation.record.target.cards, simulation.record.target.appliance,
                    work.users, work.micro_batches, work.prompt_tokens, work.output_tokens, work.prefill_chunk));
    Print(RenderSimulation(simulation, !options_.ideal));
    Print("\nWhat no source gives, and these figures rest on\n");
    Print(RenderAssumptions(simulation.record.assumed));
    return {};
  }

 private:
  Json Record(const Simulation& simulation) const {
    Json json = ToJson(simulation.record);
    Json ideal;
    for (const Measure& measure : simulation.ideal) ideal.Set(measure.name, ToJson(measure));
    json.Set("ideal", std::move(ideal));
    Json::Array stages;
    const std::vector<double> shares = OccupancyOf(simulation);
    for (size_t i = 0; i < shares.size(); ++i) {
      const StageStats& stage = simulation.stages[i];
      Json entry;
      entry.Set("stage", stage.label).Set("card", stage.card).Set("occupancy", shares[i]);
      entry.Set("busy_s", stage.busy.seconds()).Set("passes", stage.passes);
      stages.push_back(std::move(entry));
    }
    json.Set("stages", std::move(stages));
    return json;
  }

  SimulateOptions options_;
};

}  // namespace

std::unique_ptr<Command> MakeSimulate() { return std::make_unique<SimulateCommand>(); }

}  // namespace lodestone::cli
