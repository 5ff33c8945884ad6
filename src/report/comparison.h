// One workload simulated twice, with fitted constants and by rates alone, beside what was published.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "report/measure.h"
#include "report/published.h"

namespace lodestone {

// A row a measure: calibrated (between its low and high, where there are any), ideal, published, and the error of the
// first figure against the published one. `calibrated` or `published` may be absent; their columns then are too.
std::string RenderComparison(const std::optional<std::vector<Measure>>& calibrated, const std::vector<Measure>& ideal,
                             const std::optional<PublishedRun>& published);

}  // namespace lodestone
