// Power and transistors of the machine that ran, for the energy and space measures.
#pragma once

#include <optional>
#include <span>
#include <string>

#include "appliance/appliance.h"
#include "base/status.h"
#include "base/units.h"
#include "hardware/hardware.h"
#include "host/energy.h"
#include "report/measure.h"
#include "report/run_record.h"

namespace lodestone::cli {

// Reads this host's energy counter over a run, where it has one.
class HostPower {
 public:
  HostPower();  // starts counting

  // Mean watts over `elapsed`, or why they are not known.
  Result<double> Watts(Time elapsed);

 private:
  Result<EnergyMeter> meter_;
};

// Fills power, transistors and provenance of a run on simulated cards with these stages, or on this host with
// `host_power`. What the user stated wins.
void SetPower(const std::optional<ApplianceSpec>& spec, std::optional<double> stated_w, HostPower* host_power,
              Time elapsed, std::span<const StageStats> stages, BatchRun* run);

// The measures of the run; the energy of simulated cards says what it rests on.
std::vector<Measure> MeasuresWithReasons(const BatchRun& run, const std::optional<ApplianceSpec>& spec);

// The figures of the appliance without a source on which a simulation rests: assumed ones and fitted ones, each with
// its range and reason. `ideal` leaves out those that a simulation by rates alone does not use.
std::vector<Assumption> AssumptionsOf(const ApplianceSpec& spec, bool ideal);

}  // namespace lodestone::cli
