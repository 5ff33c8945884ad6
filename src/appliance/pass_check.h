// Whether a pass may enter an appliance: what is refused before a card sees it.
#pragma once

#include <cstdint>
#include <limits>

#include "base/status.h"
#include "executor/executor.h"
#include "plan/placement.h"

namespace lodestone {

struct PassLimits {
  int64_t vocab = std::numeric_limits<int32_t>::max();  // tokens are 0 … vocab − 1
  int64_t positions = kMaxPlacedContext;                // are 0 … positions − 1
  int pages = 0;                                        // of KV: 0 … pages − 1
};

// The limits of the model whose stages these are, as far as its embedding tells them.
PassLimits LimitsOf(const Placement& placement, int pages);

// Refused with the row, the page or the shape at fault: rows other than the load says, a page table of another shape, a
// sequence beyond it, positions that do not rise within a sequence, two rows that write one KV entry, and anything
// beyond the limits.
Status CheckPass(const Pass& pass, const PassLimits& limits);

// The positions alone of rows whose tokens and pages nobody reads: cards that tell times and make no tokens.
Status CheckPositions(const Pass& pass, int64_t positions);

}  // namespace lodestone
