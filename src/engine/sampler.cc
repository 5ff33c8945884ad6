#include "engine/sampler.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

namespace lodestone {
namespace {

// A token that may be drawn. `weight` is its probability over that of the most likely token.
struct Candidate {
  double logit = 0;
  int32_t id = 0;
  double weight = 0;
};

// The order that decides among tokens: more likely first, then the lower id.
bool Before(const Candidate& a, const Candidate& b) { return a.logit != b.logit ? a.logit > b.logit : a.id < b.id; }
bool After(const Candidate& a, const Candidate& b) { return Before(b, a); }

// Hands out candidates in order, each O(log n): a draw seldom needs more than a few of a large vocabulary.
class InOrder {
 public:
  explicit InOrder(std::vector<Candidate> all) : heap_(std::move(all)) {
    std::make_heap(heap_.begin(), heap_.end(), After);
  }
  bool empty() const { return heap_.empty(); }
  Candidate Pop() {
    std::pop_heap(heap_.begin(), heap_.end(), After);
    const Candidate best = heap_.back();
    heap_.pop_back();
    return best;
  }

 private:
  std::vector<Candidate> heap_;
};

void Penalise(std::vector<double>& logits, std::span<const int32_t> seen, double penalty) {
  std::vector<bool> done(logits.size());
  for (int32_t id : seen) {
    const size_t i = static_cast<size_t>(id);
    if (id < 0 || i >= logits.size() || done[i]) continue;
    done[i] = true;
    logits[i] = logits[i] > 0 ? logits[i] / penalty : logits[i] * penalty;
  }
}

std::vector<Candidate> CandidatesOf(const std::vector<double>& logits) {
  std::vector<Candidate> candidates;
  candidates.reserve(logits.size());
  for (size_t i = 0; i < logits.size(); ++i) {
    if (std::isfinite(logits[i])) candidates.push_back({.logit = logits[i], .id = static_cast<int32_t>(i)});
  }
  return candidates;
}

// Keeps the `top_k` most likely; the others in any order.
void KeepTopK(std::vector<Candidate>& candidates, int top_k) {
  if (top_k == 0 || static_cast<size_t>(top_k) >= candidates.size()) return;
  std::nth_element(candidates.begin(), candidates.begin() + top_k, candidates.end(), Before);
  candidates.resize(static_cast<size_t>(top_k));
  std::sort(candidates.begin(), candidates.end(), [](const auto& a, const auto& b) { return a.id < b.id; });
}

// The smallest most likely part of `candidates` that holds `top_p` of all weight.
std::vector<Candidate> KeepTopP(std::vector<Candidate> candidates, double top_p) {
  double total = 0;
  for (const Candidate& c : candidates) total += c.weight;
  InOrder order(std::move(candidates));
  std::vector<Candidate> kept;
  for (double sum = 0; !order.empty() && sum < top_p * total;) {
    kept.push_back(order.Pop());
    sum += kept.back().weight;
  }
  return kept;
}

int32_t Draw(std::vector<Candidate> candidates, double uniform) {
  double total = 0;
  for (const Candidate& c : candidates) total += c.weight;
  InOrder order(std::move(candidates));
  Candidate drawn = order.Pop();
  for (double sum = drawn.weight; sum <= uniform * total && !order.empty();) {
    drawn = order.Pop();
    sum += drawn.weight;
  }
  return drawn.id;
}

// A bijection of 64 bits whose output bits depend on every input bit: the finaliser of SplitMix64 (Steele, Lea and
// Flood, OOPSLA 2014). The increment keeps zero from being a fixed point.
uint64_t Mix(uint64_t x) {
  x += 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

Status CheckRange(const char* name, double value, double low, double high, bool low_allowed) {
  if (value <= high && (low_allowed ? value >= low : value > low)) return {};
  return Invalid(fmt::format("{} is {}, expected {} {} and at most {}", name, value,
                             low_allowed ? "at least" : "more than", low, high));
}

}  // namespace

Status Sampling::Validate() const {
  LODESTONE_RETURN_IF_ERROR(CheckRange("temperature", temperature, 0, 100, true));
  if (top_k < 0) return Invalid(fmt::format("top-k is {}, expected 0 (all tokens) or more", top_k));
  LODESTONE_RETURN_IF_ERROR(CheckRange("top-p", top_p, 0, 1, false));
  LODESTONE_RETURN_IF_ERROR(CheckRange("min-p", min_p, 0, 1, true));
  return CheckRange("repetition penalty", repetition_penalty, 0.01, 100, true);
}

double KeyedUniform(uint64_t seed, uint64_t request, int64_t position) {
  const uint64_t key = Mix(Mix(Mix(seed) ^ request) ^ static_cast<uint64_t>(position));
  return static_cast<double>(key >> 11) * 0x1p-53;
}

Result<int32_t> Sample(std::span<const float> logits, const Sampling& sampling, std::span<const int32_t> seen,
                       uint64_t request, int64_t position) {
  constexpr double kNever = -std::numeric_limits<double>::infinity();
  std::vector<double> adjusted(logits.size());
  bool any_finite = false;
  for (size_t i = 0; i < logits.size(); ++i) {
    const float logit = logits[i];
    any_finite |= std::isfinite(logit);
    // An overflow to +inf is the most likely token; differences of infinities would not be numbers.
    adjusted[i] = std::isnan(logit) ? kNever : std::min(double{logit}, double{std::numeric_limits<float>::max()});
  }
  if (!any_finite) {
    return Invalid(fmt::format("none of the {} logits at position {} is a finite number", logits.size(), position));
  }
  if (sampling.repetition_penalty != 1) Penalise(adjusted, seen, sampling.repetition_penalty);

  if (sampling.temperature == 0) {
    return static_cast<int32_t>(std::max_element(adjusted.begin(), adjusted.end()) - adjusted.begin());
  }
  std::vector<Candidate> candidates = CandidatesOf(adjusted);
  KeepTopK(candidates, sampling.top_k);
  const double best = std::min_element(candidates.begin(), candidates.end(), Before)->logit;
  for (Candidate& c : candidates) c.weight = std::exp((c.logit - best) / sampling.temperature);
  if (sampling.top_p < 1) candidates = KeepTopP(std::move(candidates), sampling.top_p);
  std::erase_if(candidates, [&](const Candidate& c) { return c.weight < sampling.min_p; });
  return Draw(std::move(candidates), KeyedUniform(sampling.seed, request, position));
}

}  // namespace lodestone
