#include "cli/power.h"

#include <fmt/format.h>

#include "cli/layout.h"
#include "lab/simulation.h"
#include "timing/northpole.h"

namespace lodestone::cli {

HostPower::HostPower() : meter_(EnergyMeter::Open()) {}

Result<double> HostPower::Watts(Time elapsed) {
  if (!meter_.ok()) return meter_.error();
  LODESTONE_ASSIGN_OR_RETURN(const double joules, meter_->JoulesSinceLast());
  if (elapsed <= Time{} || joules <= 0) return Invalid("the run was too short for this host's energy counter");
  return joules / elapsed.seconds();
}

void SetPower(const std::optional<ApplianceSpec>& spec, std::optional<double> stated_w, HostPower* host_power,
              Time elapsed, std::span<const StageStats> stages, BatchRun* run) {
  run->provenance = spec ? Provenance::kSimulated : Provenance::kMeasured;
  run->power_provenance = run->provenance;
  if (spec) {
    if (elapsed > Time{}) {
      run->power_w_per_card = EnergyOf(*spec, stages, run->cards, elapsed).total_j() / elapsed.seconds() / run->cards;
    }
    run->transistors_per_card = spec->card.chip.transistors.value;
  } else {
    run->transistors_reason = "the number of transistors of this processor is not known";
  }
  if (stated_w) {
    run->power_w_per_card = *stated_w;
    run->power_provenance = Provenance::kUserStated;
  } else if (host_power) {
    const Result<double> watts = host_power->Watts(elapsed);
    if (watts.ok()) {
      run->power_w_per_card = *watts;
    } else {
      run->power_reason = fmt::format("{} (--power-w states it)", watts.error().message);
    }
  }
}

std::vector<Measure> MeasuresWithReasons(const BatchRun& run, const std::optional<ApplianceSpec>& spec) {
  std::vector<Measure> measures = MeasuresOf(run);
  if (!spec || run.power_provenance == Provenance::kUserStated) return measures;
  for (Measure& measure : measures) {
    if (measure.name != "energy_metric_tokens_per_j" || !measure.value) continue;
    measure.reason = fmt::format(
        "cards alone: {:g} W static, fitted so that the run of HPEC 2024 draws the published {:g} W a card, and "
        "dynamic "
        "energy by assumed constants",
        spec->card.static_power_w.value, spec->card.power_w.value);
  }
  return measures;
}

std::vector<Assumption> AssumptionsOf(const ApplianceSpec& spec, bool ideal) {
  std::vector<Assumption> assumptions;
  for (const NamedFigure& named : FiguresOf(spec)) {
    const Figure& figure = named.figure;
    if (!RestsOnNoSource(figure) || (ideal && IdealIgnores(named.name))) continue;
    std::string note = fmt::format("{}: {}", ToString(figure.source), figure.note);
    if (figure.low && figure.high)
      note += fmt::format(" Range {} to {}.", PlainNumber(*figure.low), PlainNumber(*figure.high));
    assumptions.push_back({.name = named.name, .value = figure.value, .note = std::move(note)});
  }
  return assumptions;
}

}  // namespace lodestone::cli
