// The page of a simulated batch: what it says, why, and what it rests on, in one HTML file.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/status.h"
#include "lab/simulation.h"

namespace lodestone {

// Runs the batch with calibrated and ideal timing, at the ends of all constants, and, where the workload is a published
// one, with other numbers of users. `environment` is listed at the end: version and the like. Equal options give equal
// bytes, for any number of threads.
Result<std::string> SimulationPage(const SimulationOptions& options, int threads,
                                   const std::vector<std::pair<std::string, std::string>>& environment = {});

}  // namespace lodestone
