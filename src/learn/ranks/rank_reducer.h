// The reducer of several ranks, over any transport.
#pragma once

#include <functional>
#include <memory>

#include "base/status.h"
#include "learn/ranks/pieces.h"
#include "learn/ranks/transport.h"
#include "learn/reducer.h"

namespace lodestone {

struct RankReducerOptions {
  double time_limit_s = 60;             // of a rank's silence
  int64_t piece_floats = kPieceFloats;  // the same at every rank
};

// Calls `open` in a thread of its own, which carries all messages while the caller computes, and which sleeps most of
// the time: a rank may have one processor for both. Returns when all ranks have greeted each other.
Result<std::unique_ptr<Reducer>> MakeRankReducer(std::function<Result<std::unique_ptr<Transport>>()> open,
                                                 RankReducerOptions options = {});

}  // namespace lodestone
