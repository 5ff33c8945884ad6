// Placements of the catalogue on the cores of their cards: everything that Place accepts is mapped, or refused with the
// bytes of a core; and what a layer of HPEC 2024 takes over users and contexts.
#include <gtest/gtest.h>

#include <set>
#include <string>

#include "plan/placement.h"
#include "timing/northpole.h"

namespace lodestone {
namespace {

struct Case {
  const char* model;
  const char* recipe;
  const char* appliance;
  Demand demand;
};

Result<Placement> PlaceCase(const Case& c, ApplianceSpec* spec) {
  LODESTONE_ASSIGN_OR_RETURN(*spec, LoadAppliance(c.appliance));
  LODESTONE_ASSIGN_OR_RETURN(const ModelConfig config, LoadModelConfig(c.model));
  LODESTONE_ASSIGN_OR_RETURN(const Recipe recipe, ParseRecipe(c.recipe));
  return Place(config, recipe, *spec, c.demand);
}

// One mapping a kind of stage.
void ExpectMapped(const Case& c) {
  SCOPED_TRACE(std::string(c.model) + " " + c.recipe + " on " + c.appliance);
  ApplianceSpec spec;
  const Result<Placement> placement = PlaceCase(c, &spec);
  ASSERT_TRUE(placement.ok()) << placement.error().message;
  const auto timing = MakeNorthPoleTiming(spec.card.chip, Fidelity::kCalibrated);
  std::set<int> kinds;
  for (const PlacedStage& placed : placement->stages) {
    if (!kinds.insert(placed.kind).second) continue;
    const auto mapped = timing->Map(placed.stage, MapDemandOf(placement->demand));
    ASSERT_TRUE(mapped.ok()) << mapped.error().message;
    const StageMapping mapping = (*mapped)->Mapping();
    EXPECT_LE(mapping.fullest_core_bytes, mapping.core_memory_bytes);
    // The fullest core holds at least the average of what the ledger counts, and little more.
    const int64_t cores = static_cast<int64_t>(spec.card.chip.cores.value);
    EXPECT_GE(mapping.fullest_core_bytes * cores, placed.ledger.used());
    EXPECT_LE(mapping.fullest_core_bytes - placed.ledger.used() / cores, mapping.core_memory_bytes / 10);
    Load load = MapDemandOf(placement->demand).load;
    EXPECT_GT((*mapped)->Evaluate(load).time.ps, 0);
    EXPECT_GT((*mapped)->Evaluate(load).energy.total().pj, 0);
  }
}

constexpr Demand kHpec{.users = 28, .context = 2048, .rows_per_pass = 129, .decode_rows = 2};

TEST(CatalogMapping, HpecOnSixteenCards) {
  ExpectMapped({"granite-3b-14l", "w4a4", "northpole-16", kHpec});
  ExpectMapped({"granite-3b-14l", "w4a4:static", "northpole-16", kHpec});
}

TEST(CatalogMapping, TheRack) {
  ExpectMapped({"granite-3.3-8b", "w4a8c8", "northpole-288", {28, 2048, 128, 1}});  // a vocabulary of 49,159
  ExpectMapped({"llama-3-8b", "w4a8c8", "northpole-288", {28, 2048, 128, 1}});
  ExpectMapped({"llama-3-70b", "w4a8c8", "northpole-288", {28, 2048, 64, 1}});  // an MLP over two cards, gathers inside
  ExpectMapped({"granite-8b-code", "w8a8", "northpole-288", {8, 2048, 128, 1}});
}

TEST(CatalogMapping, EveryModelOfTheCatalogue) {
  const Result<std::vector<CatalogModel>> models = CatalogModels();
  ASSERT_TRUE(models.ok()) << models.error().message;
  for (const CatalogModel& model : *models) {
    ApplianceSpec spec;
    const Case c{model.name.c_str(), "w4a8c8", "northpole-288", {.users = 2, .context = 128, .rows_per_pass = 16}};
    const Result<Placement> placement = PlaceCase(c, &spec);
    if (!placement.ok()) continue;  // placement_test.cc has what does not fit
    ExpectMapped(c);
  }
}

// Whatever fits by the sum of all cores fits the fullest one, within the last page of users.
TEST(CatalogMapping, MemoryEndsWhereTheLedgerSays) {
  ApplianceSpec spec;
  Case c{"granite-3b-14l", "w4a4:static", "northpole-16", kHpec};
  const Result<Placement> placement = PlaceCase(c, &spec);
  ASSERT_TRUE(placement.ok()) << placement.error().message;
  c.demand.users = placement->max_users;
  ExpectMapped(c);
  MapDemand demand = MapDemandOf(c.demand);
  demand.kv_positions = 44 * 2048;  // what weights and KV alone would leave room for
  const auto refused =
      MakeNorthPoleTiming(spec.card.chip, Fidelity::kCalibrated)->Map(placement->stages[0].stage, demand);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kInfeasible);
  EXPECT_NE(refused.error().message.find("positions would fit, not the 90112"), std::string::npos)
      << refused.error().message;
}

// One layer of HPEC 2024, decoding: time grows with users and context without a jump, and the context is felt by
// attention alone. 256 positions more are less than 0.06 % a row (measured: 0.027 to 0.049 %), a user more less
// than 2.5 %.
TEST(HpecCurve, IsSmoothOverUsersAndContexts) {
  ApplianceSpec spec;
  const Result<Placement> placement = PlaceCase({"granite-3b-14l", "w4a4", "northpole-16", kHpec}, &spec);
  ASSERT_TRUE(placement.ok()) << placement.error().message;
  auto mapped = MakeNorthPoleTiming(spec.card.chip, Fidelity::kCalibrated)
                    ->Map(placement->stages[1].stage, MapDemandOf(placement->demand));
  ASSERT_TRUE(mapped.ok()) << mapped.error().message;
  struct Point {
    double seconds = 0;
    int64_t attention = 0, others = 0;  // cycles
  };
  const auto at = [&](int rows, int64_t context) {
    const Load load{.rows = rows,
                    .logit_rows = rows,
                    .sequences = rows,
                    .context_sum = rows * context,
                    .context_max = context,
                    .kv_tokens_read = rows * context};
    Point point{.seconds = (*mapped)->Evaluate(load).time.seconds()};
    for (const OperatorCost& cost : (*mapped)->Explain(load)) {
      (cost.op == std::string("attend") ? point.attention : point.others) += cost.total_cycles;
    }
    return point;
  };
  for (int rows = 1; rows <= 44; ++rows) {
    Point before;
    for (int64_t context = 256; context <= 4096; context += 256) {
      SCOPED_TRACE(std::to_string(rows) + " rows at " + std::to_string(context));
      const Point now = at(rows, context);
      if (context > 256) {
        EXPECT_GT(now.seconds, before.seconds);
        EXPECT_LT(now.seconds, before.seconds * (1 + 0.0006 * rows));
        EXPECT_EQ(now.others, before.others);
      }
      if (rows > 1) {
        const Point fewer = at(rows - 1, context);
        EXPECT_GT(now.seconds, fewer.seconds);
        EXPECT_LT(now.seconds, fewer.seconds * 1.025);
        EXPECT_GT(now.attention, fewer.attention);
      }
      before = now;
    }
  }
}

}  // namespace
}  // namespace lodestone
