// How much every constant without a source moves a simulated batch, and how far all of them together could.
//
// One placement for all runs: what is compared is time and energy on the same cards.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "lab/simulation.h"

namespace lodestone {

struct Outcome {
  double tokens_per_s = 0;         // of the system
  double latency_s = 0;            // a token
  double prompt_s = 0, gen_s = 0;  // until the last first token, and from there on
  double joules_per_token = 0;     // generated
};
Outcome OutcomeOf(const SimulatedRun& run);

// A run with one figure at one end of its range and the others typical.
struct SensitivityEnd {
  double value = 0;  // of the figure
  std::optional<Outcome> outcome;
  std::string reason;  // where the run was refused
};

struct SensitivityRow {
  NamedFigure figure;
  SensitivityEnd low, high;
  double effect = 0;  // the largest relative change of an outcome at either end: 0.05 is 5 %
};

struct Sensitivity {
  Outcome typical;
  std::vector<SensitivityRow> rows;  // largest effect first; equal ones in the order of the figures
};
// One row for every figure of the appliance that RestsOnNoSource and has a range. Results do not depend on `threads`.
Result<Sensitivity> SensitivityOf(const SimulationOptions& options, int threads);

// A table of what each end does to the outcomes, and which constants one published throughput can and cannot fix.
std::string RenderSensitivity(const Sensitivity& sensitivity);
Json ToJson(const Sensitivity& sensitivity);

// Runs with all figures without a source at the end that is worse for speed or energy, and at the better one. Figures
// of which neither end is better stay typical.
struct Envelope {
  SimulatedRun worse, better;
};
Result<Envelope> EnvelopeOf(const SimulationOptions& options, int threads);

// Fills low and high of the measures of the typical run (MeasuresOf) from the two ends.
void AddRanges(const Envelope& envelope, std::vector<Measure>& measures);

}  // namespace lodestone
