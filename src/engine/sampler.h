// From logits to a token. Deterministic: random numbers are keyed by (seed, request, choice, position), so a user's
// tokens depend on no one else.
#pragma once

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "base/status.h"

namespace lodestone {

struct Sampling {
  double temperature = 0;         // 0: greedy, the lowest id among equals
  int top_k = 0;                  // 0: all
  double top_p = 1;               // smallest set of most likely tokens whose probability reaches this
  double min_p = 0;               // tokens at least this times as likely as the most likely
  double repetition_penalty = 1;  // divides positive logits of tokens seen (prompt and output), multiplies the others
  double frequency_penalty = 0;   // subtracted from a token's logit for each time that the output has it
  double presence_penalty = 0;    // subtracted once if the output has it
  std::vector<std::pair<int32_t, double>> logit_bias;  // (id, what is added to its logit)
  uint64_t seed = 0;

  // Refuses values outside their range by name: temperature 0 … 100, top-k from 0, top-p above 0 to 1, min-p 0 … 1,
  // repetition penalty 0.01 … 100, frequency and presence penalty −100 … 100, bias −1000 … 1000 of ids from 0.
  Status Validate() const;
};

// What a sequence has so far.
struct History {
  std::span<const int32_t> tokens;  // prompt, then output
  size_t prompt_tokens = 0;
};

// Keeps its buffers between calls. For one thread.
class Sampler {
 public:
  // Order: logit bias, repetition penalty, frequency and presence penalties, temperature, top-k, top-p, min-p, then one
  // draw that walks from the most likely token on (the lower id first among equals). Refuses logits without a finite
  // value. Greedy without penalties is two scans; otherwise O(vocab) with a small constant, plus the tokens walked
  // over.
  Result<int32_t> Sample(std::span<const float> logits, const Sampling& sampling, const History& history,
                         uint64_t request, int64_t position);

  struct Candidate {
    float logit = 0;
    int32_t id = 0;
  };

 private:
  std::span<const float> Adjust(std::span<const float> logits, const Sampling& sampling, const History& history);
  int32_t Draw(std::span<const float> logits, float best, const Sampling& sampling, double uniform);

  std::vector<float> adjusted_;                   // logits after bias and penalties
  std::vector<int32_t> counts_;                   // of a token; all zero between calls
  std::vector<Candidate> candidates_;             // tokens of about the same likelihood
  std::vector<std::pair<double, int32_t>> kept_;  // weight and id, most likely first
};

// The key of a choice's random numbers; that of choice 0 is the request's own.
uint64_t ChoiceKey(uint64_t request, int choice);

// A uniform double in [0, 1) from the key (SplitMix64 chained over the three words; the top 53 bits).
double KeyedUniform(uint64_t seed, uint64_t request, int64_t position);

}  // namespace lodestone
