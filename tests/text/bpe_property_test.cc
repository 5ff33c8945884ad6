#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "text/tokenizer.h"
#include "text/tokenizer_json.h"

namespace lodestone::testing {
namespace {

using Rules = std::vector<std::pair<std::string, std::string>>;

// The definition: as long as neighbours have a rule, apply the first rule in the list at its leftmost place.
std::vector<std::string> MergeByDefinition(std::vector<std::string> symbols, const Rules& rules) {
  for (;;) {
    size_t best_rank = rules.size(), best_at = 0;
    for (size_t i = 0; i + 1 < symbols.size(); ++i) {
      for (size_t rank = 0; rank < best_rank; ++rank) {
        if (rules[rank].first == symbols[i] && rules[rank].second == symbols[i + 1]) {
          best_rank = rank;
          best_at = i;
        }
      }
    }
    if (best_rank == rules.size()) return symbols;
    symbols[best_at] += symbols[best_at + 1];
    symbols.erase(symbols.begin() + static_cast<ptrdiff_t>(best_at) + 1);
  }
}

TEST(BpeProperty, EqualsTheDefinition) {
  std::mt19937 random(3);
  for (int trial = 0; trial < 300; ++trial) {
    std::vector<std::string> tokens = {"a", "b", "c"};
    Json vocab, merges = Json(Json::Array());
    for (const std::string& token : tokens) vocab.Set(token, static_cast<int>(token[0] - 'a'));
    Rules rules;
    for (size_t i = random() % 12; i > 0; --i) {
      const std::string left = tokens[random() % tokens.size()];
      const std::string right = tokens[random() % tokens.size()];
      if (std::find(tokens.begin(), tokens.end(), left + right) != tokens.end()) continue;
      rules.emplace_back(left, right);
      vocab.Set(left + right, static_cast<int>(tokens.size()));
      tokens.push_back(left + right);
      merges.as_array()->push_back(Json(left + " " + right));
    }
    Json model;
    model.Set("type", "BPE").Set("vocab", vocab).Set("merges", merges);
    const auto tokenizer = Tokenizer::Parse(TokenizerText{.model = model.Dump(-1)}.Json(), "tokenizer.json");
    ASSERT_TRUE(tokenizer.ok()) << tokenizer.error().message;
    for (int text = 0; text < 20; ++text) {
      std::vector<std::string> symbols;
      std::string whole;
      for (size_t i = random() % 25; i > 0; --i) {
        symbols.push_back(std::string(1, static_cast<char>('a' + random() % 3)));
        whole += symbols.back();
      }
      std::vector<std::string> actual;
      const Result<std::vector<int32_t>> ids = (*tokenizer)->Encode(whole);
      ASSERT_TRUE(ids.ok()) << ids.error().message;
      for (const int32_t id : *ids) actual.emplace_back((*tokenizer)->IdToToken(id));
      ASSERT_EQ(actual, MergeByDefinition(symbols, rules)) << whole << " " << merges.Dump(-1);
    }
  }
}

}  // namespace
}  // namespace lodestone::testing
