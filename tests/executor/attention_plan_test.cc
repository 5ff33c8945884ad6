#include "executor/attention_plan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>

#include "hash_weights.h"
#include "kernels/kernel_table.h"
#include "runner.h"
#include "test_models.h"

namespace lodestone::testing {
namespace {

constexpr int kBlock = kernels::kBlockTokens;

// Rows of random sequences: single tokens, chunks, and chunks with gaps.
std::vector<Row> RandomRows(std::mt19937& random, int longest) {
  std::vector<Row> rows;
  const int sequences = 1 + static_cast<int>(random() % 6);
  for (int s = 0; s < sequences; ++s) {
    auto position = static_cast<int32_t>(random() % static_cast<unsigned>(longest));
    const int count = random() % 2 == 0 ? 1 : 1 + static_cast<int>(random() % 100);
    for (int i = 0; i < count; ++i) {
      rows.push_back({.sequence = static_cast<uint32_t>(s), .position = position});
      position += random() % 20 == 0 ? 3 : 1;
    }
  }
  return rows;
}

TEST(AttentionPlanProperty, EachBlockOfEachTileIsDealtOnceAndInOrder) {
  std::mt19937 random(1);
  AttentionPlan plan;
  bool saw_cut = false;
  for (int round = 0; round < 300; ++round) {
    const std::vector<Row> rows = RandomRows(random, round % 2 == 0 ? 300 : 20000);
    AttentionPlan::Shape shape{.kv_heads = 1 + static_cast<int>(random() % 8),
                               .group = 1 + static_cast<int>(random() % 40),
                               .head_dim = 64,
                               .window = random() % 3 == 0 ? 1 + static_cast<int>(random() % 1000) : 0,
                               .threads = 1 + static_cast<int>(random() % 33)};
    plan.Plan(rows, shape);

    std::map<std::pair<int, int>, int> times;  // (row, KV head)
    for (const AttentionPlan::Tile& tile : plan.tiles()) {
      ASSERT_TRUE(tile.rows == 1 || tile.rows * shape.group <= kernels::kAttendLanes);
      for (int r = 0; r < tile.rows; ++r) {
        const Row& row = rows[tile.row + r];
        ++times[{tile.row + r, tile.head}];
        EXPECT_EQ(row.sequence, rows[tile.row].sequence);
        EXPECT_EQ(row.position, rows[tile.row].position + r);
        EXPECT_LT(row.position, tile.block_end * kBlock);
      }
      const int first = shape.window > 0 ? std::max(0, rows[tile.row].position + 1 - shape.window) : 0;
      EXPECT_EQ(tile.block_begin, first / kBlock);
    }
    EXPECT_EQ(times.size(), rows.size() * static_cast<size_t>(shape.kv_heads));
    for (const auto& [lane, count] : times) EXPECT_EQ(count, 1);

    std::map<int, int> reached;  // of each tile
    for (int share = 0; share < plan.shares(); ++share) {
      for (const AttentionPlan::Piece& piece : plan.Share(share)) {
        const AttentionPlan::Tile& tile = plan.tiles()[piece.tile];
        const int from = reached.count(piece.tile) > 0 ? reached[piece.tile] : tile.block_begin;
        EXPECT_EQ(piece.block_begin, from);
        EXPECT_LT(piece.block_begin, piece.block_end);
        reached[piece.tile] = piece.block_end;
        if (tile.partials < 0) EXPECT_EQ(piece.block_end, tile.block_end);
      }
    }
    for (size_t t = 0; t < plan.tiles().size(); ++t) {
      EXPECT_EQ(reached[static_cast<int>(t)], plan.tiles()[t].block_end);
    }
    // Cut tiles have their results side by side.
    int64_t partials = 0;
    for (const int t : plan.cut_tiles()) {
      const AttentionPlan::Tile& tile = plan.tiles()[t];
      EXPECT_EQ(tile.partials, partials);
      partials += int64_t{tile.rows} * shape.group * (2 + 64) * (tile.block_end - tile.block_begin);
      saw_cut = true;
    }
    EXPECT_EQ(plan.partial_floats(), static_cast<size_t>(partials));
  }
  EXPECT_TRUE(saw_cut);
}

TEST(AttentionPlan, OneLongContextIsSharedByAllThreads) {
  const std::vector<Row> rows = {{.position = 100 * kBlock - 1}};
  AttentionPlan plan;
  plan.Plan(rows, {.kv_heads = 2, .group = 4, .head_dim = 128, .window = 0, .threads = 8});
  ASSERT_EQ(plan.shares(), 8);
  for (int share = 0; share < 8; ++share) {
    int blocks = 0;
    for (const AttentionPlan::Piece& piece : plan.Share(share)) blocks += piece.block_end - piece.block_begin;
    EXPECT_EQ(blocks, 25) << share;
  }
  plan.Plan(std::vector<Row>{{.position = 3}}, {.kv_heads = 2, .group = 4, .head_dim = 128, .window = 0, .threads = 8});
  EXPECT_EQ(plan.shares(), 1);  // not worth it
}

class LongContextProperty : public ::testing::TestWithParam<std::string> {};

// A page table that names one page again and again makes a long context of a short one.
TEST_P(LongContextProperty, ThreadsThatShareOneRowChangeNoBit) {
  const ModelConfig config = TinyLlama();
  const Recipe recipe = *ParseRecipe(GetParam());
  const HashWeights weights(11);
  constexpr int kPages = 300;
  std::vector<int32_t> table(kPages);
  for (int p = 0; p < kPages; ++p) table[p] = p == 0 ? 0 : 1 + p % 2;
  std::vector<float> expected;
  for (const int threads : {1, 2, 3, 4, 7}) {
    Runner runner(config, recipe, weights, {.threads = threads, .pages = 3});
    std::vector<Row> rows = RowsOf(SomeTokens(3 * kBlock, config.vocab, 5));
    runner.Run({.id = 1, .load = {}, .rows = rows, .page_table = table, .pages_per_sequence = kPages});
    rows = {{.sequence = 0, .position = kPages * kBlock - 20, .token = 7, .wants_logits = true}};
    const auto logits =
        runner.Run({.id = 2, .load = {}, .rows = rows, .page_table = table, .pages_per_sequence = kPages});
    if (threads == 1) expected = logits;
    EXPECT_EQ(logits, expected) << threads;
  }
}
INSTANTIATE_TEST_SUITE_P(Recipes, LongContextProperty, ::testing::Values("f32", "w4a16", "w4a8", "w4a4", "w4a8:static"),
                         [](const auto& param) {
                           std::string name = param.param;
                           std::replace(name.begin(), name.end(), ':', '_');
                           return name;
                         });

// A sequence that goes its own way after 70 tokens: its second page is a copy of the first one's.
TEST(PageCopies, AForkedSequenceContinuesAsIfItHadRunAlone) {
  const ModelConfig config = TinyLlama();
  const HashWeights weights(11);
  for (const char* name : {"f32", "w4a16", "w4a8", "w4a4"}) {
    const Recipe recipe = *ParseRecipe(name);
    auto tokens = SomeTokens(72, config.vocab, 5);
    const std::vector<int32_t> alone_table = {0, 1}, table = {0, 1, 0, 2};
    Runner alone(config, recipe, weights, {}), forked(config, recipe, weights, {.fuse = true});
    auto rows = RowsOf(tokens);
    for (Row& row : rows) row.wants_logits = row.position >= 70;
    const auto expected =
        alone.Run({.id = 1, .load = {}, .rows = rows, .page_table = alone_table, .pages_per_sequence = 2});
    const std::span<const Row> prompt = std::span(rows).first(70);
    forked.Run({.id = 1, .load = {}, .rows = prompt, .page_table = table, .pages_per_sequence = 2});
    // The parent writes other tokens from position 70 on in the same pass.
    std::vector<Row> both = {{.sequence = 0, .position = 70, .token = 1}, {.sequence = 0, .position = 71, .token = 3}};
    for (size_t i = 70; i < 72; ++i) {
      both.push_back(rows[i]);
      both.back().sequence = 1;
    }
    const std::vector<PageCopy> copies = {{.from = 1, .to = 2}};
    EXPECT_EQ(
        forked.Run(
            {.id = 2, .load = {}, .rows = both, .page_table = table, .pages_per_sequence = 2, .page_copies = copies}),
        expected)
        << name;
  }
}

}  // namespace
}  // namespace lodestone::testing
