// From logits to a token. Deterministic: random numbers are keyed by (seed, request, position), so a user's tokens
// depend on no one else.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/status.h"

namespace lodestone {

struct Sampling {
  double temperature = 0;  // 0: greedy, the lowest id among equals
  int top_k = 0;           // 0: all
  double top_p = 1;        // smallest set of most likely tokens whose probability reaches this
  double min_p = 0;        // tokens at least this times as likely as the most likely
  double repetition_penalty =
      1;  // logits of tokens seen (prompt and output) divided by it if positive, multiplied if not
  uint64_t seed = 0;

  // Refuses values outside their range by name: temperature 0 … 100, top-k from 0, top-p above 0 to 1, min-p 0 … 1,
  // repetition penalty 0.01 … 100.
  Status Validate() const;
};

// Order: repetition penalty, temperature, top-k, top-p, min-p, then one draw. `seen` are the ids of the prompt and the
// output so far. Refuses logits without a finite value.
Result<int32_t> Sample(std::span<const float> logits, const Sampling& sampling, std::span<const int32_t> seen,
                       uint64_t request, int64_t position);

// A uniform double in [0, 1) from the key (SplitMix64 chained over the three words; the top 53 bits).
double KeyedUniform(uint64_t seed, uint64_t request, int64_t position);

}  // namespace lodestone
