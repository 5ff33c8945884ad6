#include <gtest/gtest.h>

#include <random>
#include <set>

#include "plan/estimate.h"
#include "plan/placement.h"
#include "program/work.h"

namespace lodestone {
namespace {

struct Case {
  ModelConfig config;
  Recipe recipe;
  ApplianceSpec appliance;
  Demand demand;
};

// Small shapes on small cards, so that packing, halves, ranks and refusals all come up.
Case RandomCase(std::mt19937& random, const ApplianceSpec& base) {
  const auto pick = [&](std::initializer_list<int> values) { return *(values.begin() + random() % values.size()); };
  Case made;
  ModelConfig& config = made.config;
  config.name = "random";
  config.layers = static_cast<int>(1 + random() % 12);
  config.head_dim = pick({8, 16});
  config.kv_heads = pick({1, 2, 4});
  config.heads = config.kv_heads * pick({1, 2});
  config.hidden = config.heads * config.head_dim;
  config.ffn = config.hidden * pick({2, 3, 4});
  config.vocab = static_cast<int>(50 + random() % 3000);
  config.max_positions = 4096;
  config.rope.rotary_dim = config.head_dim;
  config.attention_scale = 0.25;
  config.parallel_residual = random() % 5 == 0;
  const std::vector<std::string> names = RecipeNames();
  made.recipe = *ParseRecipe(names[random() % names.size()]);
  made.appliance = base;
  made.appliance.cards = static_cast<int>(1 + random() % 60);
  made.appliance.card.chip.cores.value = 4;
  made.appliance.card.chip.core_memory_bytes.value = 2048 << random() % 9;
  made.demand.users = static_cast<int>(1 + random() % 20);
  made.demand.context = static_cast<int64_t>(1 + random() % 500);
  made.demand.rows_per_pass = static_cast<int>(1 + random() % 8);
  return made;
}

class PlacementProperty : public ::testing::Test {
 protected:
  void SetUp() override {
    Result<ApplianceSpec> spec = LoadAppliance("northpole-16");
    ASSERT_TRUE(spec.ok()) << spec.error().message;
    base_ = *std::move(spec);
  }
  static Result<Placement> PlaceCase(const Case& c) { return Place(c.config, c.recipe, c.appliance, c.demand); }

  ApplianceSpec base_;
};

// Names of what every stage holds, in order: layer and operator, without what splitting adds.
std::vector<std::string> Coverage(const Program& program) {
  std::vector<std::string> list;
  for (const Segment& segment : program.segments) {
    for (int run = 0; run < segment.repeat; ++run) {
      for (const Op& op : segment.ops) {
        if (std::holds_alternative<Collective>(op)) continue;
        const int layer = segment.first_layer < 0 ? -1 : segment.first_layer + run;
        list.push_back(std::to_string(layer) + " " + NameOf(op));
      }
    }
  }
  return list;
}

TEST_F(PlacementProperty, StagesCoverTheModelOnceAndInOrderAndFit) {
  std::mt19937 random(21);
  int placed = 0, shared = 0, halves = 0, ranks = 0;
  for (int round = 0; round < 3000; ++round) {
    const Case c = RandomCase(random, base_);
    const Result<Placement> placement = PlaceCase(c);
    if (!placement.ok()) {
      ASSERT_EQ(placement.error().code, ErrorCode::kInfeasible) << placement.error().message;
      continue;
    }
    ++placed;
    ASSERT_LE(placement->cards_used, c.appliance.cards);
    ASSERT_EQ(placement->instances, InstancesOf(placement->cards_used, c.appliance));
    std::vector<std::string> found;
    int64_t codes = 0;
    for (size_t i = 0; i < placement->stages.size(); ++i) {
      const PlacedStage& stage = placement->stages[i];
      ASSERT_EQ(stage.card, static_cast<int>(i));
      const Ledger& ledger = stage.ledger;
      ASSERT_GE(ledger.free(), 0) << stage.stage.label << " round " << round;
      ASSERT_EQ(ledger.weight_codes + ledger.weight_scales + ledger.norms_biases + ledger.kv_codes + ledger.kv_scales +
                    ledger.buffers + ledger.free(),
                ledger.capacity);
      codes += ledger.weight_codes;
      shared += stage.stage.layers > 1 ? 1 : 0;
      halves += stage.stage.label.ends_with("attention") ? 1 : 0;
      ranks += stage.stage.of > 1 && !stage.stage.has_output ? 1 : 0;
      if (stage.stage.rank > 0) {
        ASSERT_EQ(stage.stage.rank, placement->stages[i - 1].stage.rank + 1);
        continue;
      }
      for (std::string& name : Coverage(stage.stage.program)) found.push_back(std::move(name));
    }
    const Program whole = *Describe(c.config, c.recipe);
    ASSERT_EQ(found, Coverage(whole)) << "round " << round;
    ASSERT_EQ(codes, ResidencyOf(whole).code_bytes) << "round " << round;  // ranks share without remainder or overlap
  }
  EXPECT_GT(placed, 500);
  EXPECT_GT(shared, 50);
  EXPECT_GT(halves, 50);
  EXPECT_GT(ranks, 20);
}

TEST_F(PlacementProperty, MaxUsersAndContextAreTight) {
  std::mt19937 random(22);
  int checked = 0;
  for (int round = 0; round < 1500; ++round) {
    const Case c = RandomCase(random, base_);
    const Result<Placement> placement = PlaceCase(c);
    if (!placement.ok()) continue;
    ASSERT_GE(placement->max_users, c.demand.users);
    ASSERT_GE(placement->max_context, c.demand.context);
    // The same stages overflow with one more user, or one more page.
    const auto overflows = [&](int64_t users, int64_t pages) {
      for (const PlacedStage& placed : placement->stages) {
        const Residency residency = ResidencyOf(placed.stage.program);
        const int64_t kv =
            users * pages * 64 * (residency.kv_code_bytes_per_token + residency.kv_scale_bytes_per_token);
        if (kv > placed.ledger.free() + placed.ledger.kv_codes + placed.ledger.kv_scales) return true;
      }
      return false;
    };
    const int64_t pages = PagesPerUser(c.demand.context);
    EXPECT_FALSE(overflows(placement->max_users, pages));
    EXPECT_TRUE(overflows(placement->max_users + 1, pages));
    EXPECT_FALSE(overflows(c.demand.users, placement->max_context / 64));
    EXPECT_TRUE(overflows(c.demand.users, placement->max_context / 64 + 1));
    ++checked;
  }
  EXPECT_GT(checked, 200);
}

TEST_F(PlacementProperty, MoreUsersNeverFreeMemory) {
  std::mt19937 random(23);
  for (int round = 0; round < 1500; ++round) {
    const Case fewer = RandomCase(random, base_);
    Case more = fewer;
    more.demand.users += static_cast<int>(random() % 5);
    more.demand.context += random() % 200;
    more.demand.rows_per_pass += static_cast<int>(random() % 3);
    const Result<Placement> first = PlaceCase(fewer), second = PlaceCase(more);
    if (!second.ok()) continue;
    ASSERT_TRUE(first.ok()) << "round " << round << ": " << first.error().message;
    ASSERT_LE(first->cards_used, second->cards_used);
    if (first->cards_used != second->cards_used) continue;
    for (size_t i = 0; i < first->stages.size(); ++i) {
      if (first->stages[i].stage.label != second->stages[i].stage.label) break;
      ASSERT_GE(first->stages[i].ledger.free(), second->stages[i].ledger.free());
    }
  }
}

// The first number of users in "What fits: N users at …" fits, and one more does not.
TEST_F(PlacementProperty, SuggestedUsersAreTight) {
  std::mt19937 random(24);
  int suggested = 0;
  for (int round = 0; round < 1500; ++round) {
    Case c = RandomCase(random, base_);
    const Result<Placement> placement = PlaceCase(c);
    if (placement.ok()) continue;
    const std::string marker = "What fits: ";
    const size_t at = placement.error().message.find(marker);
    ASSERT_NE(at, std::string::npos) << placement.error().message;
    const std::string list = placement.error().message.substr(at + marker.size());
    if (list.find(" at ") > list.find(';') || list.find("recipe") == 0 || !isdigit(list[0])) continue;
    const int users = std::stoi(list);
    if (list.find("user") > list.find(' ') + 1 || users == c.demand.users) continue;
    ++suggested;
    c.demand.users = users;
    EXPECT_TRUE(PlaceCase(c).ok()) << placement.error().message;
    c.demand.users = users + 1;
    EXPECT_FALSE(PlaceCase(c).ok()) << placement.error().message;
  }
  EXPECT_GT(suggested, 50);
}

}  // namespace
}  // namespace lodestone
