#include "cli/simulate.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/quote.h"
#include "cli/layout.h"
#include "cli/power.h"
#include "cli/version.h"
#include "lab/sensitivity.h"
#include "model/open_model.h"
#include "report/comparison.h"

namespace lodestone::cli {
namespace {

Result<Transfers> ParseTransfers(const std::string& name) {
  for (const Transfers transfers : {Transfers::kDirect, Transfers::kHost}) {
    if (name == ToString(transfers)) return transfers;
  }
  return Invalid(
      fmt::format("--transfers is {}, expected 'direct' (card to card) or 'host' (through host memory)", Quoted(name)));
}

// The measures of a run; the user's watts, where he stated them, instead of the simulated ones.
std::vector<Measure> Measures(const SimulationOptions& setting, std::optional<double> stated_w, SimulatedRun& run) {
  SetPower(setting.spec, stated_w, nullptr, run.elapsed, run.stages, &run.run);
  return MeasuresWithReasons(run.run, setting.spec);
}

double Share(Time part, Time whole) { return whole > Time{} ? part.seconds() / whole.seconds() : 0; }

std::string RenderOccupancy(const Simulation& simulation) {
  const std::vector<StageStats>& stages = simulation.run.stages;
  if (stages.empty()) return "";
  const Time elapsed = simulation.run.elapsed;
  Time busy, stalls, gathers;
  for (const StageStats& stage : stages) {
    busy += stage.busy;
    stalls += stage.stalls;
    gathers += stage.gathers;
  }
  const Bottleneck& bottleneck = simulation.run.bottleneck;
  const StageStats& most = stages[static_cast<size_t>(bottleneck.stage)];
  const StageStats& least = *std::min_element(stages.begin(), stages.end(),
                                              [](const StageStats& a, const StageStats& b) { return a.busy < b.busy; });
  const double count = static_cast<double>(stages.size());
  std::string text =
      Wrap(fmt::format("  Occupancy of the stages: {:.0f} % at least ({}), {:.0f} % on average, {:.0f} % at most ({})",
                       Share(least.busy, elapsed) * 100, least.label, Share(busy, elapsed) / count * 100,
                       Share(most.busy, elapsed) * 100, most.label),
           kWidth, 4) +
      "\n";
  if (gathers > Time{}) {
    text += fmt::format("  Waiting for the parts of other cards: {:.1f} % of the time on average\n",
                        Share(gathers, elapsed) / count * 100);
  }
  double fill = 0;  // of the fullest framebuffer
  for (const FramebufferStats& framebuffer : simulation.run.framebuffers) {
    if (framebuffer.capacity == 0) continue;
    fill = std::max(fill, static_cast<double>(framebuffer.peak_bytes) / static_cast<double>(framebuffer.capacity));
  }
  return text + fmt::format("  Framebuffers: {:.1f} % full at most; arrays stalled {:.2g} % of the time\n", fill * 100,
                            Share(stalls, elapsed) / count * 100);
}

std::string RenderEnergy(const Simulation& simulation) {
  const EnergyLedger& energy = simulation.run.energy;
  const double card_seconds = simulation.run.elapsed.seconds() * simulation.run.placement.cards_used;
  if (card_seconds <= 0) return "";
  const auto watts = [&](double joules) { return joules / card_seconds; };
  return fmt::format(
      "  Power: {:.1f} W a card: static {:.1f}, core memory {:.2f}, matrix units {:.2f}, vector units {:.2f}, networks "
      "on chip {:.2f}, links {:.2f}",
      watts(energy.total_j()), watts(energy.static_j), watts(energy.memory_j), watts(energy.matrix_j),
      watts(energy.vector_j), watts(energy.network_j), watts(energy.link_j));
}

}  // namespace

Result<SimulationOptions> SettingOf(const SimulateOptions& options) {
  const RunOptions& run = options.run;
  SimulationOptions setting;
  LODESTONE_ASSIGN_OR_RETURN(std::optional<ApplianceSpec> spec, OpenAppliance(run.appliance));
  if (!spec) {
    return Unsupported(
        "simulate needs simulated cards, and 'cpu' is this host: name an appliance that 'lodestone "
        "hardware' lists, or measure the cpu with 'lodestone generate'");
  }
  setting.spec = *std::move(spec);
  LODESTONE_ASSIGN_OR_RETURN(setting.config, OpenShape(run.model));
  LODESTONE_ASSIGN_OR_RETURN(setting.recipe, RecipeOf(run, setting.config));
  LODESTONE_ASSIGN_OR_RETURN(setting.transfers, ParseTransfers(options.transfers));
  setting.fidelity = options.ideal ? Fidelity::kIdeal : Fidelity::kCalibrated;
  setting.users = static_cast<int>(run.users.value_or(1));
  setting.micro_batches =
      static_cast<int>(run.micro_batches.value_or(DefaultMicroBatches(setting.spec, setting.users)));
  setting.prefill_chunk = static_cast<int>(run.prefill_chunk);
  setting.prompt_tokens = options.prompt_tokens;
  setting.output_tokens = options.tokens;
  return setting;
}

Result<Simulation> Simulate(const SimulateOptions& options) {
  Simulation simulation;
  LODESTONE_ASSIGN_OR_RETURN(simulation.options, SettingOf(options));
  SimulationOptions& setting = simulation.options;
  SimulationOptions ideal = setting;
  ideal.fidelity = Fidelity::kIdeal;
  LODESTONE_ASSIGN_OR_RETURN(simulation.run, SimulateBatch(ideal));
  simulation.ideal = Measures(setting, options.run.power_w, simulation.run);
  setting.placement = simulation.run.placement;
  RunRecord& record = simulation.record;
  record.measures = simulation.ideal;
  if (!options.ideal) {
    LODESTONE_ASSIGN_OR_RETURN(simulation.run, SimulateBatch(setting));
    record.measures = Measures(setting, options.run.power_w, simulation.run);
    if (const Result<Envelope> envelope = EnvelopeOf(setting, AvailableThreads()); envelope.ok()) {
      AddRanges(*envelope, record.measures);
    } else {
      simulation.no_range = envelope.error().message;
    }
  }
  const BatchRun& run = simulation.run.run;
  record.workload = WorkloadOf(setting);
  record.target = {.appliance = options.run.appliance,
                   .cards = run.cards,
                   .power_w_per_card = run.power_w_per_card,
                   .transistors_per_card = run.transistors_per_card};
  record.assumed = AssumptionsOf(setting.spec, options.ideal);
  record.environment = {{"version", Version()},
                        {"fidelity", options.ideal ? "ideal" : "calibrated"},
                        {"transfers", ToString(setting.transfers)}};
  LODESTONE_ASSIGN_OR_RETURN(simulation.published, PublishedBeside(setting));
  if (simulation.published) record.published = simulation.published->figures;
  return simulation;
}

std::string RenderSimulation(const Simulation& simulation) {
  const RunRecord& record = simulation.record;
  const bool calibrated = simulation.options.fidelity == Fidelity::kCalibrated;
  std::string text = RenderComparison(calibrated ? std::optional(record.measures) : std::nullopt, simulation.ideal,
                                      simulation.published);
  text += "\n" + RenderOccupancy(simulation) + Wrap(RenderEnergy(simulation), kWidth, 4) + "\n";
  if (!simulation.no_range.empty()) {
    text +=
        Wrap(fmt::format("  No low and high: with all constants at one end of their ranges, {}", simulation.no_range),
             kWidth, 4) +
        "\n";
  }
  const Placement& placement = simulation.run.placement;
  if (placement.instances > 1) {
    const double rate = OutcomeOf(simulation.run).tokens_per_s;
    text += fmt::format("  Figures are of one instance on {} cards; {} fit side by side: {} tokens/s on {} cards\n",
                        placement.cards_used, placement.instances, FormatNumber(rate * placement.instances),
                        placement.cards_used * placement.instances);
  }
  if (simulation.published) {
    text += Wrap(fmt::format("  Published: {}", simulation.published->source), kWidth, 4) + "\n";
    text += Wrap("  " + simulation.published->evidence, kWidth, 2) + "\n";
  }
  return text;
}

}  // namespace lodestone::cli
