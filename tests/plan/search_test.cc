#include "plan/search.h"

#include <gtest/gtest.h>

#include "base/units.h"
#include "timing/northpole.h"

namespace lodestone {
namespace {

Result<SearchResult> SearchNamed(const std::string& model, const std::string& recipe, const ApplianceSpec& spec,
                                 const SearchOptions& options) {
  LODESTONE_ASSIGN_OR_RETURN(const ModelConfig config, LoadModelConfig(model));
  LODESTONE_ASSIGN_OR_RETURN(const Recipe parsed, ParseRecipe(recipe));
  const auto timing = MakeNorthPoleTiming(spec.card.chip, Fidelity::kCalibrated);
  return SearchPlacements(config, parsed, spec, *timing, options);
}

ApplianceSpec Named(const std::string& name) {
  const Result<ApplianceSpec> spec = LoadAppliance(name);
  EXPECT_TRUE(spec.ok()) << spec.error().message;
  return spec.ok() ? *spec : ApplianceSpec{};
}

SearchOptions Users(int users, int64_t context, Objective objective = Objective::kThroughput) {
  SearchOptions options;
  options.users = users;
  options.context = context;
  options.objective = objective;
  return options;
}

bool Mentions(const Proposal& proposal, const std::string& text) {
  for (const std::string& reason : proposal.reasons) {
    if (reason.find(text) != std::string::npos) return true;
  }
  return false;
}

// HPEC 2024: a layer a card, the output layer on two, fourteen groups of two users.
TEST(Search, TheThreeBillionModelLiesAsInThePaper) {
  const auto found = SearchNamed("granite-3b-14l", "w4a4", Named("northpole-16"), Users(28, 2048));
  ASSERT_TRUE(found.ok()) << found.error().message;
  const Proposal& best = found->best.front();
  EXPECT_EQ(best.arrangement.body_steps, 14);
  EXPECT_EQ(best.arrangement.layer_ranks, 1);
  EXPECT_EQ(best.arrangement.output_ranks, 2);
  EXPECT_EQ(best.arrangement.cards, 16);
  EXPECT_EQ(best.instances, 1);
  EXPECT_EQ(best.estimate.groups, 14);
  EXPECT_EQ(best.placement.demand.decode_rows, 2);
  EXPECT_GE(best.max_users, 28);
  EXPECT_TRUE(Mentions(best, "the output layer over 2 cards: one card would need")) << best.reasons[1];
  EXPECT_TRUE(Mentions(best, "1 instance uses 16 of 16 cards"));
  ASSERT_TRUE(found->plain.has_value());
  EXPECT_EQ(found->plain->arrangement, best.arrangement);
}

// 28 users of 2,048 positions, 14 of 4,096 and 7 of 8,192 have the same KV; three instances of 82 cards hold it, and no
// arrangement makes a user wait less.
TEST(Search, TheRackHoldsThreeInstancesOfTheEightBillionModel) {
  for (const auto& [users, context] : {std::pair{28, 2048}, {14, 4096}, {7, 8192}}) {
    const auto found =
        SearchNamed("granite-3.3-8b", "w4a8c8", Named("northpole-288"), Users(users, context, Objective::kLatency));
    ASSERT_TRUE(found.ok()) << found.error().message;
    const Proposal& best = found->best.front();
    EXPECT_EQ(best.arrangement.part_ranks, (std::vector<int>{1, 1})) << users;
    EXPECT_EQ(best.arrangement.cards, 82);
    EXPECT_EQ(best.instances, 3);
    EXPECT_TRUE(Mentions(best, "attention and MLP apart: a whole layer would need 22")) << best.reasons[1];
    EXPECT_TRUE(Mentions(best, "3 instances use 246 of 288 cards, 6 servers for each by itself"));
  }
}

TEST(Search, SeventyBillionParametersTakeTheRackOnce) {
  const auto found = SearchNamed("llama-3-70b", "w4a8c8", Named("northpole-288"), Users(28, 2048));
  ASSERT_TRUE(found.ok()) << found.error().message;
  const Proposal& best = found->best.front();
  EXPECT_EQ(best.arrangement.part_ranks, (std::vector<int>{1, 2}));
  EXPECT_EQ(best.arrangement.cards, 246);
  EXPECT_EQ(best.instances, 1);
  EXPECT_EQ(best.prefill_chunk, 64);  // 128 rows of buffers would not fit beside the KV
  EXPECT_TRUE(Mentions(best, "the MLP over 2 cards: one card would need"));
}

TEST(Search, TradeKeepsTheStages) {
  const auto found = SearchNamed("granite-3.3-8b", "w4a8c8", Named("northpole-288"), Users(28, 2048));
  ASSERT_TRUE(found.ok()) << found.error().message;
  ASSERT_EQ(found->trade.size(), 10u);  // 256 to 131,072
  for (size_t i = 0; i < found->best.size(); ++i) {
    int users = kMaxPlacedUsers;
    for (const TradePoint& point : found->trade) {
      ASSERT_EQ(point.proposals.size(), found->best.size());
      const TradePoint::Filled& filled = point.proposals[i];
      EXPECT_LE(filled.users, users);
      EXPECT_EQ(filled.users > 0, filled.estimate.tokens_per_s > 0);
      users = filled.users;
      if (point.context == 2048) {
        EXPECT_EQ(filled.users, found->best[i].max_users);
        EXPECT_GE(filled.users, 28);
        EXPECT_LE(filled.users, found->best[i].placement.max_users);
      }
    }
  }
}

TEST(Search, ObjectivesOrderTheProposals) {
  for (const Objective objective : {Objective::kThroughput, Objective::kLatency, Objective::kCards}) {
    const auto found = SearchNamed("gpt2", "w8a8", Named("northpole-16"), Users(4, 512, objective));
    ASSERT_TRUE(found.ok()) << found.error().message;
    ASSERT_EQ(found->best.size(), 5u);
    for (size_t i = 1; i < found->best.size(); ++i) {
      const Proposal &before = found->best[i - 1], &after = found->best[i];
      if (objective == Objective::kThroughput) EXPECT_GE(before.system_tokens_per_s(), after.system_tokens_per_s());
      if (objective == Objective::kLatency) EXPECT_LE(before.estimate.period, after.estimate.period);
      if (objective == Objective::kCards) EXPECT_LE(before.arrangement.cards, after.arrangement.cards);
    }
    EXPECT_EQ(ParseObjective(ToString(objective)), objective);
  }
  EXPECT_FALSE(ParseObjective("speed").has_value());
}

TEST(Search, OptionsFixGroupsAndChunk) {
  SearchOptions options = Users(12, 512);
  options.micro_batches = 3;
  options.prefill_chunk = 5;
  const auto found = SearchNamed("gpt2", "w8a8", Named("northpole-16"), options);
  ASSERT_TRUE(found.ok()) << found.error().message;
  for (const Proposal& proposal : found->best) {
    EXPECT_EQ(proposal.estimate.groups, 3);
    EXPECT_EQ(proposal.placement.demand.decode_rows, 4);
    EXPECT_EQ(proposal.prefill_chunk, 5);
    EXPECT_EQ(proposal.placement.demand.rows_per_pass, 8);
  }
}

TEST(Search, AMillionCardsAreBounded) {
  ApplianceSpec spec = Named("northpole-288");
  spec.cards = kMaxPlacedCards;
  const auto found = SearchNamed("llama-3-70b", "w4a8c8", spec, Users(28, 2048));
  ASSERT_TRUE(found.ok()) << found.error().message;
  EXPECT_LT(found->estimated + found->over_memory, 4000);
  EXPECT_GT(found->best.front().instances, 3000);
  spec.cards = kMaxPlacedCards + 1;
  EXPECT_EQ(SearchNamed("llama-3-70b", "w4a8c8", spec, Users(28, 2048)).error().code, ErrorCode::kInvalid);
}

TEST(Search, WhatDoesNotFitIsRefusedWithWhatWould) {
  const auto found = SearchNamed("llama-3-70b", "w4a8c8", Named("northpole-16"), Users(28, 2048));
  ASSERT_FALSE(found.ok());
  EXPECT_EQ(found.error().code, ErrorCode::kInfeasible);
  EXPECT_NE(found.error().message.find("such cards"), std::string::npos) << found.error().message;
  SearchOptions none = Users(0, 2048);
  EXPECT_EQ(SearchNamed("gpt2", "w8a8", Named("northpole-16"), none).error().code, ErrorCode::kInvalid);
  const auto beyond = SearchNamed("gpt2", "w8a8", Named("northpole-16"), Users(1, 4096));
  ASSERT_FALSE(beyond.ok());
  EXPECT_NE(beyond.error().message.find("gpt2 has 1024"), std::string::npos) << beyond.error().message;
}

TEST(Search, CoresThatRefuseEverythingAreNamed) {
  const auto found = SearchNamed("gpt2", "w4a16", Named("northpole-16"), Users(1, 512));
  ASSERT_FALSE(found.ok());
  EXPECT_EQ(found.error().code, ErrorCode::kInfeasible);
  EXPECT_NE(found.error().message.find("the cores of a card refuse them all"), std::string::npos);
  EXPECT_NE(found.error().message.find("int8, int4"), std::string::npos) << found.error().message;
}

TEST(PlaceArrangement, RefusesWhatDoesNotDescribeTheModel) {
  const ModelConfig config = *LoadModelConfig("gpt2");
  const Recipe recipe = *ParseRecipe("w8a8");
  const ApplianceSpec spec = Named("northpole-16");
  const auto message = [&](const Arrangement& arrangement, ErrorCode code) {
    const auto placement = Place(config, recipe, spec, {4, 512, 4}, arrangement);
    EXPECT_FALSE(placement.ok());
    if (placement.ok()) return std::string();
    EXPECT_EQ(placement.error().code, code);
    return placement.error().message;
  };
  const auto contains = [](const std::string& text, const char* part) {
    EXPECT_NE(text.find(part), std::string::npos) << text;
  };
  contains(message({.body_steps = 0, .part_ranks = {}}, ErrorCode::kInvalid), "0 steps for 12 layers");
  contains(message({.body_steps = 13, .part_ranks = {}}, ErrorCode::kInvalid), "13 steps for 12 layers");
  contains(message({.part_ranks = {1}}, ErrorCode::kInvalid), "1 parts of a layer that has 2");
  contains(
      message({.body_steps = 4, .layer_ranks = 2, .part_ranks = {}, .output_shares_cards = true}, ErrorCode::kInvalid),
      "output layer of 1 ranks shares the cards of 2");
  contains(message({.body_steps = 12, .layer_ranks = 0, .part_ranks = {}}, ErrorCode::kInvalid), "0 ranks");
  contains(message({.part_ranks = {1, -1}}, ErrorCode::kInvalid), "-1 ranks");
  contains(message({.body_steps = 2, .layer_ranks = 5, .part_ranks = {}}, ErrorCode::kUnsupported),
           "divide by 5 ranks");
  contains(message({.body_steps = 12, .layer_ranks = 2, .part_ranks = {}}, ErrorCode::kInfeasible), "25 cards");
}

}  // namespace
}  // namespace lodestone
