#include "text/sentencepiece.h"

#include <algorithm>
#include <functional>

#include "text/utf8.h"

namespace lodestone {
namespace {

// Ranks from 0 for the best score; equal scores have equal ranks.
std::vector<int32_t> RanksOf(const std::vector<float>& scores) {
  std::vector<float> order = scores;
  std::sort(order.begin(), order.end(), std::greater<>());
  order.erase(std::unique(order.begin(), order.end()), order.end());
  std::vector<int32_t> ranks;
  ranks.reserve(scores.size());
  for (const float score : scores) {
    const auto found = std::lower_bound(order.begin(), order.end(), score, std::greater<>());
    ranks.push_back(static_cast<int32_t>(found - order.begin()));
  }
  return ranks;
}

}  // namespace

std::vector<Bpe::Rule> MergeRulesOf(const TokenList& list, const Vocabulary& vocabulary) {
  // Bytes, control tokens and unused ones are spelled by no text; user-defined ones are found whole.
  const auto merges = [&](int32_t id) {
    return list.kinds.empty() || list.kinds[static_cast<size_t>(id)] == TokenKind::kNormal;
  };
  const auto find = [&](std::string_view text) {
    const std::optional<int32_t> id = vocabulary.Find(text);
    return id && merges(*id) ? id : std::nullopt;
  };
  const std::vector<int32_t> ranks = RanksOf(list.scores);
  std::vector<Bpe::Rule> rules;
  for (size_t i = 0; i < list.tokens.size(); ++i) {
    const auto id = static_cast<int32_t>(i);
    if (!merges(id)) continue;
    const std::string_view whole = list.tokens[i];
    for (size_t cut = 0; cut < whole.size();) {
      cut += ReadUtf8(whole, cut).length;
      if (cut >= whole.size()) break;
      const std::optional<int32_t> left = find(whole.substr(0, cut)), right = find(whole.substr(cut));
      if (left && right) rules.push_back({*left, *right, id, ranks[i]});
    }
  }
  return rules;
}

}  // namespace lodestone
