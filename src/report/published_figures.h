// Figures 1 and 2 of a document redrawn from the cells that are known, with simulated points in them.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "report/measure.h"
#include "report/published.h"
#include "report/svg.h"

namespace lodestone {

// The run's workload simulated with another number of users.
struct SimulatedPoint {
  int users = 0;
  std::vector<Measure> measures;
};

struct RedrawnFigure {
  Svg svg;
  std::string caption;
};

// Energy metric, space metric, and throughput a card, each against latency. The paper's curves over all batch sizes are
// not known: the drawn points of GPUs are those of Table I. Empty where the run is compared with nothing.
std::vector<RedrawnFigure> RedrawFigures(const PublishedRun& run, std::span<const SimulatedPoint> simulated);

}  // namespace lodestone
