#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>

#include "plan/search.h"
#include "program/work.h"

namespace lodestone {
namespace {

// Time and bytes that grow with what a stage holds and does; refuses stages of more than `most_bytes` codes.
class PlainTiming final : public Timing {
 public:
  explicit PlainTiming(int64_t most_bytes) : most_bytes_(most_bytes) {}
  Result<std::unique_ptr<StageTiming>> Map(const Stage& stage, const MapDemand&) const override {
    if (ResidencyOf(stage.program).code_bytes > most_bytes_) return Infeasible("too much for the cores");
    return std::unique_ptr<StageTiming>(std::make_unique<PlainStage>(stage));
  }

 private:
  class PlainStage final : public StageTiming {
   public:
    explicit PlainStage(const Stage& stage) : stage_(stage) {}
    const StageCost& Evaluate(const Load& load) override {
      const Work work = WorkOf(stage_.program, load);
      cost_.time = {1'000'000 + 1000 * (work.weight_bytes() + work.kv_bytes()) + work.matrix_ops};
      cost_.input_bytes = 64 * load.rows;
      cost_.output_bytes = 64 * load.rows;
      return cost_;
    }
    std::vector<OperatorCost> Explain(const Load&) const override { return {}; }
    StageMapping Mapping() const override { return {}; }

   private:
    Stage stage_;
    StageCost cost_;
  };
  int64_t most_bytes_;
};

struct Case {
  ModelConfig config;
  Recipe recipe;
  ApplianceSpec appliance;
  SearchOptions options;
  int64_t most_core_bytes = 0;
};

Case RandomCase(std::mt19937& random, const ApplianceSpec& base) {
  const auto pick = [&](std::initializer_list<int> values) { return *(values.begin() + random() % values.size()); };
  Case made;
  ModelConfig& config = made.config;
  config.name = "random";
  config.layers = static_cast<int>(1 + random() % 10);
  config.head_dim = pick({8, 16});
  config.kv_heads = pick({1, 2, 4, 6});
  config.heads = config.kv_heads * pick({1, 2});
  config.hidden = config.heads * config.head_dim;
  config.ffn = config.hidden * pick({2, 3, 4});
  config.vocab = static_cast<int>(50 + random() % 3000);
  config.max_positions = 1024;
  config.rope.rotary_dim = config.head_dim;
  config.attention_scale = 0.25;
  config.parallel_residual = random() % 5 == 0;
  made.recipe = *ParseRecipe(pick({0, 1}) ? "w8a8" : "w4a4");
  made.appliance = base;
  made.appliance.cards = static_cast<int>(1 + random() % 60);
  made.appliance.card.chip.cores.value = 4;
  made.appliance.card.chip.core_memory_bytes.value = 2048 << random() % 9;
  made.options.users = static_cast<int>(1 + random() % 40);
  made.options.context = static_cast<int64_t>(1 + random() % 500);
  if (random() % 3 == 0) made.options.prefill_chunk = static_cast<int>(1 + random() % 16);
  if (random() % 3 == 0) made.options.micro_batches = static_cast<int>(1 + random() % 50);
  made.options.objective = static_cast<Objective>(random() % 3);
  made.options.proposals = pick({1, 3, 1000});
  made.most_core_bytes = random() % 3 == 0 ? static_cast<int64_t>(1) << (10 + random() % 12) : INT64_MAX;
  return made;
}

class SearchProperty : public ::testing::Test {
 protected:
  // Calls `check` with cases and what a search of them found.
  template <typename Check>
  static void ForEachFound(unsigned seed, int rounds, const Check& check) {
    const Result<ApplianceSpec> base = LoadAppliance("northpole-16");
    ASSERT_TRUE(base.ok()) << base.error().message;
    std::mt19937 random(seed);
    int found = 0;
    for (int round = 0; round < rounds; ++round) {
      SCOPED_TRACE(round);
      const Case c = RandomCase(random, *base);
      const PlainTiming timing(c.most_core_bytes);
      const Result<SearchResult> result = SearchPlacements(c.config, c.recipe, c.appliance, timing, c.options);
      if (!result.ok()) {
        EXPECT_EQ(result.error().code, ErrorCode::kInfeasible) << result.error().message;
        continue;
      }
      ++found;
      check(c, *result);
      if (::testing::Test::HasFailure()) return;
    }
    EXPECT_GT(found, rounds / 4);
  }
};

// Part and rank of every stage, which together are each part of the model once.
std::map<std::string, int> Coverage(const Program& program) {
  std::map<std::string, int> count;
  for (const Segment& segment : program.segments) {
    for (int run = 0; run < segment.repeat; ++run) {
      for (const Op& op : segment.ops) {
        if (std::holds_alternative<Collective>(op)) continue;
        const int layer = segment.first_layer < 0 ? -1 : segment.first_layer + run;
        ++count[std::to_string(layer) + " " + NameOf(op)];
      }
    }
  }
  return count;
}

TEST_F(SearchProperty, ProposalsFitCoverTheModelOnceAndHaveAllRanks) {
  std::set<int> rank_counts;
  int shared = 0, packed = 0, split_whole = 0;
  ForEachFound(31, 600, [&](const Case& c, const SearchResult& result) {
    ASSERT_FALSE(result.best.empty());
    const auto whole = Coverage(*Describe(c.config, c.recipe));
    for (const Proposal& proposal : result.best) {
      const Placement& placement = proposal.placement;
      ASSERT_LE(placement.cards_used, c.appliance.cards);
      ASSERT_EQ(placement.cards_used, proposal.arrangement.cards);
      ASSERT_GE(proposal.instances, 1);
      ASSERT_LE(int64_t{proposal.instances} * placement.cards_used, c.appliance.cards);
      ASSERT_GE(proposal.max_users, c.options.users);
      std::map<std::string, int> found;
      for (size_t i = 0; i < placement.stages.size(); ++i) {
        const PlacedStage& placed = placement.stages[i];
        ASSERT_GE(placed.ledger.free(), 0) << placed.stage.label;
        ASSERT_EQ(placed.card, static_cast<int>(i));
        rank_counts.insert(placed.stage.of);
        // Ranks of one step follow one another, and all are there.
        if (placed.stage.rank > 0) {
          ASSERT_EQ(placed.stage.rank, placement.stages[i - 1].stage.rank + 1);
          ASSERT_EQ(placed.stage.of, placement.stages[i - 1].stage.of);
        } else {
          for (const auto& [name, count] : Coverage(placed.stage.program)) found[name] += count;
        }
        const bool last_rank = i + 1 == placement.stages.size() || placement.stages[i + 1].stage.rank == 0;
        ASSERT_EQ(last_rank, placed.stage.rank + 1 == placed.stage.of);
      }
      ASSERT_EQ(found, whole);
      shared += proposal.arrangement.output_shares_cards ? 1 : 0;
      packed += proposal.arrangement.part_ranks.empty() && proposal.arrangement.body_steps < c.config.layers ? 1 : 0;
      split_whole += proposal.arrangement.layer_ranks > 1 ? 1 : 0;
    }
  });
  for (const int ranks : {1, 2, 4, 6}) EXPECT_TRUE(rank_counts.contains(ranks)) << ranks;
  EXPECT_GT(shared, 100);
  EXPECT_GT(packed, 100);
  EXPECT_GT(split_whole, 100);
}

TEST_F(SearchProperty, NoProposalIsWorseThanWhatPlaceChooses) {
  int compared = 0, better = 0;
  ForEachFound(32, 600, [&](const Case& c, const SearchResult& result) {
    if (!result.plain) return;
    ++compared;
    const Proposal &best = result.best.front(), &plain = *result.plain;
    switch (c.options.objective) {
      case Objective::kThroughput:
        ASSERT_GE(best.system_tokens_per_s(), plain.system_tokens_per_s());
        better += best.system_tokens_per_s() > plain.system_tokens_per_s() ? 1 : 0;
        break;
      case Objective::kLatency:
        ASSERT_LE(best.estimate.period, plain.estimate.period);
        better += best.estimate.period < plain.estimate.period ? 1 : 0;
        break;
      case Objective::kCards:
        ASSERT_LE(best.arrangement.cards, plain.arrangement.cards);
        better += best.arrangement.cards < plain.arrangement.cards ? 1 : 0;
        break;
    }
    // It is the one that Place chooses without a search.
    const Demand& demand = plain.placement.demand;
    const Result<Placement> placed =
        Place(c.config, c.recipe, c.appliance,
              DemandOf(demand.users, c.options.micro_batches.value_or(std::min(demand.users, c.appliance.cards)),
                       demand.context, demand.context, c.options.prefill_chunk.value_or(1)));
    ASSERT_TRUE(placed.ok()) << placed.error().message;
    ASSERT_EQ(placed->stages.size(), plain.placement.stages.size());
    for (size_t i = 0; i < placed->stages.size(); ++i) {
      ASSERT_EQ(placed->stages[i].stage.label, plain.placement.stages[i].stage.label);
    }
  });
  EXPECT_GT(compared, 100);
  EXPECT_GT(better, 50);
}

TEST_F(SearchProperty, EveryWayOfLayingTheLayersIsProposedOnceAndInOrder) {
  ForEachFound(33, 300, [&](const Case& c, const SearchResult& result) {
    ASSERT_LE(static_cast<int>(result.best.size()), c.options.proposals);
    std::set<std::pair<std::pair<int, int>, std::vector<int>>> ways;
    for (size_t i = 0; i < result.best.size(); ++i) {
      const Arrangement& a = result.best[i].arrangement;
      ASSERT_TRUE(ways.insert({{a.body_steps, a.layer_ranks}, a.part_ranks}).second);
      if (i == 0 || c.options.objective != Objective::kLatency) continue;
      ASSERT_LE(result.best[i - 1].estimate.period, result.best[i].estimate.period);
    }
  });
}

// Users that a trade point names fit, and one more does not: by memory, where the cores take everything.
TEST_F(SearchProperty, TradePointsAreTight) {
  int checked = 0;
  ForEachFound(34, 200, [&](const Case& c, const SearchResult& result) {
    if (c.most_core_bytes != INT64_MAX || c.options.micro_batches) return;
    for (const TradePoint& point : result.trade) {
      const Proposal& first = result.best.front();
      const int users = point.proposals.front().users;
      const auto fits = [&](int n) {
        const Demand demand = DemandOf(n, n, point.context, point.context, first.prefill_chunk);
        return Place(c.config, c.recipe, c.appliance, demand, first.arrangement).ok();
      };
      if (users > 0) ASSERT_TRUE(fits(users));
      ASSERT_FALSE(fits(users + 1));
      ++checked;
    }
  });
  EXPECT_GT(checked, 100);
}

}  // namespace
}  // namespace lodestone
