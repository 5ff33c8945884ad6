#include "base/nearest.h"

#include <algorithm>
#include <numeric>
#include <vector>

namespace lodestone {
namespace {

// Levenshtein's distance, by rows.
size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 0; i < a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i + 1;
    for (size_t j = 0; j < b.size(); ++j) {
      const size_t changed = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({changed, row[j] + 1, row[j + 1] + 1});
    }
  }
  return row[b.size()];
}

}  // namespace

std::optional<std::string> Nearest(std::string_view word, std::span<const std::string> candidates) {
  constexpr size_t kMaxWord = 64;  // longer words are no slips of the hand
  if (word.size() > kMaxWord) return std::nullopt;
  std::optional<std::string> best;
  size_t best_distance = 1 + std::max<size_t>(2, word.size() / 3);
  for (const std::string& candidate : candidates) {
    if (candidate.size() > 2 * kMaxWord) continue;
    const size_t distance = EditDistance(word, candidate);
    // Two edits turn any word of two letters into any other.
    if (distance < best_distance && distance < word.size() && distance < candidate.size()) {
      best_distance = distance;
      best = candidate;
    }
  }
  if (best) return best;
  constexpr size_t kMinPrefix = 4;
  for (const std::string& candidate : candidates) {
    if (word.size() >= kMinPrefix && (candidate.starts_with(word) || word.starts_with(candidate))) return candidate;
  }
  return std::nullopt;
}

}  // namespace lodestone
