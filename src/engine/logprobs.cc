#include "engine/logprobs.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace lodestone {

Logprobs LogprobsOf(std::span<const float> logits, int32_t id, int top) {
  constexpr double kImpossible = -std::numeric_limits<double>::infinity();
  const auto logit_of = [&](size_t i) {
    return std::isnan(logits[i]) ? kImpossible : std::min(double{logits[i]}, double{std::numeric_limits<float>::max()});
  };
  const auto before = [](const TokenLogprob& a, const TokenLogprob& b) {
    return a.logprob != b.logprob ? a.logprob > b.logprob : a.id < b.id;
  };
  double best = kImpossible;
  for (size_t i = 0; i < logits.size(); ++i) best = std::max(best, logit_of(i));
  double sum = 0;
  Logprobs result;
  std::vector<TokenLogprob>& kept = result.top;  // a heap, the least likely first
  const size_t most = std::min(static_cast<size_t>(std::max(top, 0)), logits.size());
  for (size_t i = 0; i < logits.size(); ++i) {
    const TokenLogprob token{static_cast<int32_t>(i), logit_of(i)};
    sum += std::exp(token.logprob - best);
    if (kept.size() == most) {
      if (most == 0 || !before(token, kept.front())) continue;
      std::pop_heap(kept.begin(), kept.end(), before);
      kept.pop_back();
    }
    kept.push_back(token);
    std::push_heap(kept.begin(), kept.end(), before);
  }
  std::sort_heap(kept.begin(), kept.end(), before);
  const double norm = best + std::log(sum);
  for (TokenLogprob& token : kept) token.logprob -= norm;
  result.chosen = logit_of(static_cast<size_t>(id)) - norm;
  return result;
}

}  // namespace lodestone
