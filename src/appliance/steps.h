// The steps of a chain: one stage, or the ranks that share one, side by side on cards of their own.
#pragma once

#include <vector>

#include "base/status.h"
#include "plan/placement.h"

namespace lodestone {

// Stages [first, first + count) of the placement, side by side.
struct ChainStep {
  int first = 0, count = 1;
};

// Groups the stages of a placement into steps. Refused: ranks that are not complete and in order.
Result<std::vector<ChainStep>> StepsOf(const Placement& placement);

}  // namespace lodestone
