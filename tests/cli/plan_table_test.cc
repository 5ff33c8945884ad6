#include "cli/plan_table.h"

#include <gtest/gtest.h>

#include "cli/plan.h"

namespace lodestone::cli {
namespace {

TEST(PlanTable, ListsCardsShortly) {
  EXPECT_EQ(CardList({3}), "3");
  EXPECT_EQ(CardList({0, 1, 2, 3}), "0–3");
  EXPECT_EQ(CardList({0, 2, 4, 6}), "0, 2 … 6");
  EXPECT_EQ(CardList({1, 5}), "1, 5");
  EXPECT_EQ(CardList({3, 7, 8}), "3, 7–8");
  EXPECT_EQ(CardList({1, 2, 4, 5, 7, 8, 10, 11}), "1–2, 4–5 … 10–11");
  EXPECT_EQ(CardList({1, 2, 5, 9}), "1–2, 5, 9");
  EXPECT_EQ(CardList({1, 3, 5, 7, 9, 11, 13, 15, 17, 30}), "1, 3 … 30 (10 cards)");
}

TEST(PlanTable, MergesLabels) {
  EXPECT_EQ(MergeLabels("layer 0", "layer 13"), "layer 0–13");
  EXPECT_EQ(MergeLabels("layer 0 attention", "layer 39 attention"), "layer 0–39 attention");
  EXPECT_EQ(MergeLabels("output 1/2", "output 2/2"), "output 1–2/2");
  EXPECT_EQ(MergeLabels("output", "output"), "output");
  EXPECT_EQ(MergeLabels("layers 0–2 1/4", "layers 33–35 4/4"), "layers 0–35 1–4/4");
}

RunOptions PaperPlan() {
  RunOptions run;
  run.model = "granite-3b-14l";
  run.appliance = "northpole-16";
  run.recipe = "w4a4:static";
  run.users = 28;
  run.context = 2048;
  run.prefill_chunk = kPlanChunk;
  return run;
}

// The NorthPole paper's placement: fourteen alike layer cards, the output layer on two.
TEST(PlanTable, FoldsAlikeCards) {
  const auto plan = MakePlan(PaperPlan());
  ASSERT_TRUE(plan.ok()) << plan.error().message;
  const std::vector<StageGroup> groups = GroupStages(plan->placement);
  ASSERT_EQ(groups.size(), 2u);
  EXPECT_EQ(groups[0].label, "layer 0–13");
  EXPECT_EQ(CardList(groups[0].cards), "0–13");
  EXPECT_EQ(CardList(groups[1].cards), "14–15");
  const std::string table = RenderPlacement(plan->placement);
  EXPECT_NE(table.find(" 104.0 "), std::string::npos) << table;
  EXPECT_NE(table.find(" 56.0 "), std::string::npos) << table;
}

// Attention and MLP of a layer alternate over the cards and still fold into two lines.
TEST(PlanTable, FoldsAlternatingCards) {
  RunOptions run = PaperPlan();
  run.model = "granite-3.3-8b";
  run.appliance = "northpole-288";
  run.recipe = "w4a8c8";
  const auto plan = MakePlan(run);
  ASSERT_TRUE(plan.ok()) << plan.error().message;
  const std::vector<StageGroup> groups = GroupStages(plan->placement);
  ASSERT_GE(groups.size(), 3u);
  EXPECT_EQ(CardList(groups[0].cards), "0, 2 … 78");
  EXPECT_EQ(CardList(groups[1].cards), "1, 3 … 79");
}

TEST(PlanTable, RefusesWhatDoesNotFitWithTheReason) {
  RunOptions run = PaperPlan();
  run.recipe = "w4a8";
  const auto plan = MakePlan(run);
  ASSERT_FALSE(plan.ok());
  EXPECT_EQ(plan.error().code, ErrorCode::kInfeasible);
  EXPECT_NE(plan.error().message.find("What fits"), std::string::npos) << plan.error().message;
}

TEST(PlanTable, RefusesAContextBeyondTheModel) {
  RunOptions run = PaperPlan();
  run.context = 5000;
  const auto plan = MakePlan(run);
  ASSERT_FALSE(plan.ok());
  EXPECT_NE(plan.error().message.find("--context is 5000 and 'granite-3b-14l' has 4096"), std::string::npos)
      << plan.error().message;
}

}  // namespace
}  // namespace lodestone::cli
