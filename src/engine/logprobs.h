// How likely a token was, and which were the most likely ones, by the model alone: before any sampling parameter.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace lodestone {

struct TokenLogprob {
  int32_t id = 0;
  double logprob = 0;  // natural logarithm of its softmax probability
  bool operator==(const TokenLogprob&) const = default;
};

struct Logprobs {
  double chosen = 0;
  std::vector<TokenLogprob> top;  // more likely first, then the lower id
};

// `id` is one of the logits, of which at least one is finite; those that are not numbers have probability 0. O(vocab).
Logprobs LogprobsOf(std::span<const float> logits, int32_t id, int top);

}  // namespace lodestone
