#include "engine/sampler.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>

#include "base/split_mix.h"

namespace lodestone {
namespace {

constexpr float kLargest = std::numeric_limits<float>::max();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

// Wide enough that compilers turn the inner loops into vector instructions, whatever the instruction set.
constexpr size_t kLanes = 16;

// The largest logit, at most the largest finite float: differences of infinities would not be numbers. −inf if all are
// −inf or not numbers.
float LargestOf(std::span<const float> logits) {
  std::array<float, kLanes> best;
  best.fill(-kInfinity);
  size_t i = 0;
  for (; i + kLanes <= logits.size(); i += kLanes) {
    for (size_t lane = 0; lane < kLanes; ++lane)
      best[lane] = logits[i + lane] > best[lane] ? logits[i + lane] : best[lane];
  }
  float largest = -kInfinity;
  for (float lane : best) largest = std::max(largest, lane);
  for (; i < logits.size(); ++i) largest = logits[i] > largest ? logits[i] : largest;
  return std::min(largest, kLargest);
}

// exp(x) for x ≤ 0 with a relative error below 2e-6 and 2^-126 for all below that: 2^n times the Taylor polynomial of
// 2^f, |f| ≤ 1/2. Plain float operations only, so that every machine computes the same bits.
float ExpOf(float x) {
  constexpr float kToNearest = 0x1.8p23f;  // adding it rounds to an integer, which then is in the low bits
  const float t = x * 1.44269504f > -126.0f ? x * 1.44269504f : -126.0f;  // NaN too
  const float shifted = t + kToNearest;
  const float y = (t - (shifted - kToNearest)) * 0.693147181f;
  const float p = 1 + y * (1 + y * (0.5f + y * (0.166666667f + y * (0.0416666667f + y * 0.00833333333f))));
  return std::bit_cast<float>(std::bit_cast<uint32_t>(p) + (std::bit_cast<uint32_t>(shifted) << 23));
}

// Σ of exp((logit − best) / temperature).
double TotalWeight(std::span<const float> logits, float best, double temperature) {
  const float scale = static_cast<float>(1 / std::max(temperature, 1e-30));
  std::array<double, kLanes> sums{};
  size_t i = 0;
  for (; i + kLanes <= logits.size(); i += kLanes) {
    std::array<float, kLanes> weights;
    for (size_t lane = 0; lane < kLanes; ++lane)
      weights[lane] = ExpOf((std::min(logits[i + lane], best) - best) * scale);
    for (size_t lane = 0; lane < kLanes; ++lane) sums[lane] += double{weights[lane]};
  }
  double total = 0;
  for (double sum : sums) total += sum;
  for (; i < logits.size(); ++i) total += double{ExpOf((std::min(logits[i], best) - best) * scale)};
  return total;
}

// Hands out tokens, the more likely first, then the lower id. A draw seldom needs more than a few of a large
// vocabulary: so the tokens are collected in bands of logits below the best, a scan each, and only a band is a heap.
class InOrder {
 public:
  using Candidate = Sampler::Candidate;

  InOrder(std::span<const float> logits, float best, double temperature, std::vector<Candidate>& band)
      : logits_(logits), best_(best), width_(kFirstWidth * temperature), band_(band) {
    band_.clear();
  }
  bool Next(Candidate& next) {
    while (band_.empty()) {
      if (bands_ == kBands) return false;
      FillBand();
    }
    std::pop_heap(band_.begin(), band_.end(), After);
    next = band_.back();
    band_.pop_back();
    return true;
  }

 private:
  static constexpr double kFirstWidth = 3;  // in units of the temperature: tokens down to 5 % of the best
  static constexpr int kBands = 5;          // each twice as wide as all before; the last holds the rest

  static bool After(const Candidate& a, const Candidate& b) {
    return a.logit != b.logit ? a.logit < b.logit : a.id > b.id;
  }
  void FillBand() {
    const bool last = ++bands_ == kBands;
    const float low = last ? -kInfinity : static_cast<float>(std::max(double{best_} - width_, -double{kLargest}));
    for (size_t i = 0; i < logits_.size(); ++i) {
      const float logit = logits_[i];
      if (logit > low && logit <= high_) band_.push_back({std::min(logit, best_), static_cast<int32_t>(i)});
    }
    std::make_heap(band_.begin(), band_.end(), After);
    high_ = low;
    width_ *= 2;
  }

  std::span<const float> logits_;
  float best_, high_ = kInfinity;
  double width_;
  int bands_ = 0;
  std::vector<Candidate>& band_;
};

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
  LODESTONE_RETURN_IF_ERROR(CheckRange("repetition penalty", repetition_penalty, 0.01, 100, true));
  LODESTONE_RETURN_IF_ERROR(CheckRange("frequency penalty", frequency_penalty, -100, 100, true));
  LODESTONE_RETURN_IF_ERROR(CheckRange("presence penalty", presence_penalty, -100, 100, true));
  for (const auto& [id, bias] : logit_bias) {
    if (id < 0) return Invalid(fmt::format("the logit bias names token {}, expected 0 or more", id));
    LODESTONE_RETURN_IF_ERROR(CheckRange("a logit bias", bias, -1000, 1000, true));
  }
  return {};
}

uint64_t ChoiceKey(uint64_t request, int choice) {
  return choice == 0 ? request : Mix(Mix(request) ^ static_cast<uint64_t>(choice));
}

double KeyedUniform(uint64_t seed, uint64_t request, int64_t position) {
  const uint64_t key = Mix(Mix(Mix(seed) ^ request) ^ static_cast<uint64_t>(position));
  return static_cast<double>(key >> 11) * 0x1p-53;
}

std::span<const float> Sampler::Adjust(std::span<const float> logits, const Sampling& sampling,
                                       const History& history) {
  const bool repetition = sampling.repetition_penalty != 1;
  const bool output = sampling.frequency_penalty != 0 || sampling.presence_penalty != 0;
  if (!repetition && !output && sampling.logit_bias.empty()) return logits;
  adjusted_.assign(logits.begin(), logits.end());
  const auto change = [&](int32_t id, auto to) {
    if (id < 0 || static_cast<size_t>(id) >= adjusted_.size()) return;
    float& logit = adjusted_[static_cast<size_t>(id)];
    logit = static_cast<float>(std::min(to(double{std::min(logit, kLargest)}), double{kLargest}));
  };
  for (const auto& [id, bias] : sampling.logit_bias) change(id, [by = bias](double logit) { return logit + by; });
  // Each distinct token once: its count is taken when it is met first.
  counts_.resize(logits.size());
  const auto each = [&](std::span<const int32_t> tokens, auto act) {
    for (int pass = 0; pass < 2; ++pass) {
      for (int32_t id : tokens) {
        if (id < 0 || static_cast<size_t>(id) >= counts_.size()) continue;
        int32_t& count = counts_[static_cast<size_t>(id)];
        if (pass == 0) {
          ++count;
        } else if (const int32_t times = std::exchange(count, 0); times > 0) {
          act(id, times);
        }
      }
    }
  };
  if (repetition) {
    const double penalty = sampling.repetition_penalty;
    each(history.tokens, [&](int32_t id, int32_t) {
      change(id, [&](double logit) { return logit > 0 ? logit / penalty : logit * penalty; });
    });
  }
  if (output) {
    each(history.tokens.subspan(std::min(history.prompt_tokens, history.tokens.size())), [&](int32_t id,
                                                                                             int32_t times) {
      change(id, [&](double logit) { return logit - times * sampling.frequency_penalty - sampling.presence_penalty; });
    });
  }
  return adjusted_;
}

// All cuts keep a first part of the same order, so the walk need not go beyond the shortest of them. Top-p is a share
// of what top-k left.
int32_t Sampler::Draw(std::span<const float> logits, float best, const Sampling& sampling, double uniform) {
  InOrder order(logits, best, sampling.temperature, candidates_);
  kept_.clear();
  double sum = 0;  // of the weights in kept_; a weight is a probability over that of the most likely token
  const auto keep_next = [&] {
    Candidate next;
    if (!order.Next(next)) return false;
    kept_.emplace_back(std::exp((double{next.logit} - double{best}) / sampling.temperature), next.id);
    sum += kept_.back().first;
    return true;
  };
  if (sampling.top_k == 0 && sampling.top_p == 1 && sampling.min_p == 0) {
    const double target = uniform * TotalWeight(logits, best, sampling.temperature);
    while (sum <= target && keep_next()) {
    }
    return kept_.back().second;
  }
  double enough = std::numeric_limits<double>::infinity();
  if (sampling.top_k > 0) {
    while (kept_.size() < static_cast<size_t>(sampling.top_k) && keep_next()) {
    }
    if (sampling.top_p < 1) enough = sampling.top_p * sum;
  } else {
    if (sampling.top_p < 1) enough = sampling.top_p * TotalWeight(logits, best, sampling.temperature);
    while (sum < enough && (kept_.empty() || kept_.back().first >= sampling.min_p) && keep_next()) {
    }
  }
  size_t count = 0;
  sum = 0;
  while (count < kept_.size() && sum < enough && kept_[count].first >= sampling.min_p) sum += kept_[count++].first;
  const double target = uniform * sum;
  size_t drawn = 0;
  for (double walked = kept_[0].first; walked <= target && drawn + 1 < count;) walked += kept_[++drawn].first;
  return kept_[drawn].second;
}

Result<int32_t> Sampler::Sample(std::span<const float> logits, const Sampling& sampling, const History& history,
                                uint64_t request, int64_t position) {
  const auto finite = [](float logit) { return std::isfinite(logit); };
  if (std::none_of(logits.begin(), logits.end(), finite)) {
    return Invalid(fmt::format("none of the {} logits at position {} is a finite number", logits.size(), position));
  }
  const std::span<const float> adjusted = Adjust(logits, sampling, history);
  const float best = LargestOf(adjusted);
  if (sampling.temperature > 0) {
    return Draw(adjusted, best, sampling, KeyedUniform(sampling.seed, request, position));
  }
  const auto first = std::find_if(adjusted.begin(), adjusted.end(), [&](float logit) { return logit >= best; });
  return static_cast<int32_t>(first - adjusted.begin());
}

}  // namespace lodestone
