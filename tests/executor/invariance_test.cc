// DESIGN's first law: the bits of a row depend on its own sequence alone.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "hash_weights.h"
#include "runner.h"
#include "test_models.h"

namespace lodestone::testing {
namespace {

constexpr int kTokens = 75;  // two KV pages

// Logits of every token of one sequence, run alone, in one pass, unfused, on one thread, uncut.
std::vector<float> Alone(const ModelConfig& config, const Recipe& recipe, const WeightSource& weights,
                         const std::vector<int32_t>& tokens, Runner::Options options = {}) {
  Runner runner(config, recipe, weights, std::move(options));
  const auto rows = RowsOf(tokens);
  const auto table = Runner::Pages(1, 2);
  return runner.Run({.id = 1, .load = {}, .rows = rows, .page_table = table, .pages_per_sequence = 2});
}

class InvarianceProperty : public ::testing::TestWithParam<std::string> {
 protected:
  const Recipe recipe_ = *ParseRecipe(GetParam());
  const HashWeights weights_{11};
};

TEST_P(InvarianceProperty, ThreadsFusionAndPlacementChangeNoBit) {
  for (const ModelConfig& config : {TinyLlama(), TinyGpt2(), TinyNeoX(), TinyGranite()}) {
    const auto tokens = SomeTokens(kTokens, config.vocab, 5);
    const auto alone = Alone(config, recipe_, weights_, tokens);
    EXPECT_EQ(alone, Alone(config, recipe_, weights_, tokens, {.threads = 2})) << config.name << ": threads";
    EXPECT_EQ(alone, Alone(config, recipe_, weights_, tokens, {.threads = 5})) << config.name << ": threads";
    EXPECT_EQ(alone, Alone(config, recipe_, weights_, tokens, {.fuse = true})) << config.name << ": fusion";
    EXPECT_EQ(alone, Alone(config, recipe_, weights_, tokens, {.cuts = {1, 2, 3, 4}, .fuse = true}))
        << config.name << ": cut into cards";
    EXPECT_EQ(alone, Alone(config, recipe_, weights_, tokens, {.cuts = {3}, .of = 2, .fuse = true}))
        << config.name << ": sharded over two ranks";
  }
}

TEST_P(InvarianceProperty, ChunksAndNeighboursChangeNoBit) {
  const ModelConfig config = TinyLlama();
  constexpr int kUsers = 4;
  std::vector<std::vector<int32_t>> tokens;
  std::vector<std::vector<float>> alone, got(kUsers);
  for (int u = 0; u < kUsers; ++u) {
    tokens.push_back(SomeTokens(kTokens - 9 * u, config.vocab, static_cast<uint32_t>(u)));
    alone.push_back(Alone(config, recipe_, weights_, tokens[u]));
  }
  for (uint32_t seed = 1; seed <= 3; ++seed) {
    std::mt19937 random(seed);
    Runner runner(config, recipe_, weights_, {.fuse = true, .threads = 2});
    const auto table = Runner::Pages(kUsers, 2);
    std::vector<size_t> done(kUsers, 0);
    for (auto& logits : got) logits.clear();
    for (uint64_t id = 1;; ++id) {
      // Each pass takes a random number of further tokens of each user: chunks of prompts beside single tokens.
      std::vector<Row> rows;
      std::vector<int> owner;
      for (int u = 0; u < kUsers; ++u) {
        const size_t take = std::min<size_t>(random() % 3 == 0 ? 1 : random() % 20, tokens[u].size() - done[u]);
        for (size_t i = 0; i < take; ++i, ++done[u]) {
          rows.push_back({.sequence = static_cast<uint32_t>(u),
                          .position = static_cast<int32_t>(done[u]),
                          .token = tokens[u][done[u]],
                          .wants_logits = true});
          owner.push_back(u);
        }
      }
      if (rows.empty()) {
        bool all = true;
        for (int u = 0; u < kUsers; ++u) all &= done[u] == tokens[u].size();
        if (all) break;
        continue;
      }
      const auto logits =
          runner.Run({.id = id, .load = {}, .rows = rows, .page_table = table, .pages_per_sequence = 2});
      ASSERT_EQ(logits.size(), rows.size() * config.vocab);
      for (size_t r = 0; r < rows.size(); ++r) {
        const auto begin = logits.begin() + static_cast<std::ptrdiff_t>(r) * config.vocab;
        got[owner[r]].insert(got[owner[r]].end(), begin, begin + config.vocab);
      }
    }
    for (int u = 0; u < kUsers; ++u) EXPECT_EQ(got[u], alone[u]) << "user " << u << ", seed " << seed;
  }
}

TEST_P(InvarianceProperty, LogitsOfSomeRowsEqualThoseOfAll) {
  const ModelConfig config = TinyGranite();
  const auto tokens = SomeTokens(20, config.vocab, 5);
  Runner all(config, recipe_, weights_, {}), some(config, recipe_, weights_, {});
  auto rows = RowsOf(tokens);
  const auto table = Runner::Pages(1, 1);
  const auto every = all.Run({.id = 1, .load = {}, .rows = rows, .page_table = table, .pages_per_sequence = 1});
  for (size_t r = 0; r < rows.size(); ++r) rows[r].wants_logits = r % 7 == 3;
  const auto few = some.Run({.id = 1, .load = {}, .rows = rows, .page_table = table, .pages_per_sequence = 1});
  std::vector<float> expected;
  for (size_t r = 3; r < rows.size(); r += 7) {
    const auto begin = every.begin() + static_cast<std::ptrdiff_t>(r) * config.vocab;
    expected.insert(expected.end(), begin, begin + config.vocab);
  }
  EXPECT_EQ(few, expected);
}

INSTANTIATE_TEST_SUITE_P(Recipes, InvarianceProperty,
                         ::testing::Values("f32", "bf16", "w8a8", "w4a16", "w4a8", "w4a8:g32", "w4a4", "w4a4:static",
                                           "w4a8c8"),
                         [](const auto& param) {
                           std::string name = param.param;
                           std::replace(name.begin(), name.end(), ':', '_');
                           return name;
                         });

}  // namespace
}  // namespace lodestone::testing
