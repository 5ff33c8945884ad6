#include "lab/ngram.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace lodestone {
namespace {

constexpr uint64_t Mask(int bytes) { return bytes == 8 ? ~uint64_t{0} : (uint64_t{1} << (8 * bytes)) - 1; }

}  // namespace

Result<NgramModel> NgramModel::Train(std::span<const std::string_view> documents, int order) {
  if (order < 1 || order > kMaxNgramOrder) {
    return Invalid(fmt::format("an n-gram of order {}, expected 1 to {}", order, kMaxNgramOrder));
  }
  int64_t bytes = 0;
  for (const std::string_view document : documents) bytes += static_cast<int64_t>(document.size());
  if (bytes == 0) return Invalid("an n-gram needs text to count, and there is none");
  if (bytes > kMaxNgramBytes) {
    return Infeasible(
        fmt::format("{} bytes of text; n-grams are counted in memory, at most of {}", bytes, kMaxNgramBytes));
  }

  std::vector<uint64_t> ngrams;
  ngrams.reserve(static_cast<size_t>(bytes));
  for (const std::string_view document : documents) {
    uint64_t last = 0;
    for (const char byte : document) {
      last = (last << 8) | static_cast<uint8_t>(byte);
      ngrams.push_back(last & Mask(order));
    }
  }
  NgramModel model;
  model.levels_.resize(static_cast<size_t>(order));
  for (int k = order; k >= 1; --k) {
    std::sort(ngrams.begin(), ngrams.end());
    std::vector<Counted> counted;
    for (const uint64_t ngram : ngrams) {
      if (counted.empty() || counted.back().ngram != ngram) counted.push_back({ngram, 0});
      ++counted.back().count;
    }
    model.levels_[static_cast<size_t>(k - 1)] = MakeLevel(counted);
    // Below, an n-gram counts once for each byte that stands in front of it.
    ngrams.clear();
    for (const Counted& c : counted) ngrams.push_back(c.ngram & Mask(k - 1));
  }
  return model;
}

NgramModel::Level NgramModel::MakeLevel(std::span<const Counted> ngrams) {
  Level level;
  std::array<double, 5> seen{};  // n_i: how many n-grams are counted i times
  for (const Counted& c : ngrams) {
    if (c.count < seen.size()) ++seen[c.count];
  }
  const double y = seen[1] / (seen[1] + 2 * seen[2]);
  for (size_t i = 1; i <= 3; ++i) {
    const double times = static_cast<double>(i);
    const double discount = times - (times + 1) * y * seen[i + 1] / seen[i];
    level.discounts[i] = discount > 0 && discount < times ? discount : 0.5;  // not a number: 0.5
  }
  for (const Counted& c : ngrams) {
    const uint64_t history = c.ngram >> 8;
    if (level.histories.empty() || level.histories.back().bytes != history) {
      level.histories.push_back({history, static_cast<uint32_t>(level.counts.size()), 0, 0});
    }
    level.next_bytes.push_back(static_cast<uint8_t>(c.ngram & 0xFF));
    level.counts.push_back(c.count);
    level.histories.back().total += c.count;
    level.histories.back().reserved += level.discounts[std::min<uint32_t>(c.count, 3)];
  }
  level.histories.push_back({std::numeric_limits<uint64_t>::max(), static_cast<uint32_t>(level.counts.size()), 0, 0});
  return level;
}

int64_t NgramModel::ngrams() const { return static_cast<int64_t>(levels_.back().counts.size()); }

double NgramModel::Probability(uint64_t history, uint8_t next) const {
  double p = 1.0 / 256;
  for (int k = 1; k <= order(); ++k) {
    const Level& level = levels_[static_cast<size_t>(k - 1)];
    const uint64_t bytes = history & Mask(k - 1);
    const auto end = level.histories.end() - 1;
    const auto found =
        std::lower_bound(level.histories.begin(), end, bytes, [](const History& h, uint64_t b) { return h.bytes < b; });
    if (found == end || found->bytes != bytes) break;  // nor was any longer history seen
    const auto first = level.next_bytes.begin() + found->begin, last = level.next_bytes.begin() + (found + 1)->begin;
    const auto at = std::lower_bound(first, last, next);
    double kept = 0;
    if (at != last && *at == next) {
      const uint32_t count = level.counts[static_cast<size_t>(at - level.next_bytes.begin())];
      kept = static_cast<double>(count) - level.discounts[std::min<uint32_t>(count, 3)];
    }
    p = (kept + found->reserved * p) / static_cast<double>(found->total);
  }
  return p;
}

double NgramModel::Probability(std::string_view history, uint8_t next) const {
  uint64_t bytes = 0;
  for (const char byte : history) bytes = (bytes << 8) | static_cast<uint8_t>(byte);
  return Probability(bytes, next);
}

double NgramModel::Bits(std::string_view document) const {
  double bits = 0;
  uint64_t history = 0;
  for (const char byte : document) {
    bits -= std::log2(Probability(history, static_cast<uint8_t>(byte)));
    history = (history << 8) | static_cast<uint8_t>(byte);
  }
  return bits;
}

}  // namespace lodestone
