#include "plan/placement.h"

#include <gtest/gtest.h>

#include <limits>

#include "base/units.h"

namespace lodestone {
namespace {

Result<Placement> PlaceNamed(const std::string& model, const std::string& recipe, const std::string& appliance,
                             Demand demand) {
  LODESTONE_ASSIGN_OR_RETURN(const ModelConfig config, LoadModelConfig(model));
  LODESTONE_ASSIGN_OR_RETURN(const Recipe parsed, ParseRecipe(recipe));
  LODESTONE_ASSIGN_OR_RETURN(const ApplianceSpec spec, LoadAppliance(appliance));
  return Place(config, parsed, spec, demand);
}

Result<ApplianceSpec> NorthPole(int cards) {
  LODESTONE_ASSIGN_OR_RETURN(ApplianceSpec spec, LoadAppliance("northpole-16"));
  spec.cards = cards;
  return spec;
}

void ExpectContains(const std::string& text, const std::vector<std::string>& parts) {
  for (const std::string& part : parts) EXPECT_NE(text.find(part), std::string::npos) << part << " is not in: " << text;
}

// The mapping of HPEC 2024: 14 layers of 104 MiB int4 codes and 56 MiB KV, the INT8 output layer over two cards.
TEST(Placement, TheThreeBillionModelFillsSixteenCards) {
  const auto placement = PlaceNamed("granite-3b-14l", "w4a4:static", "northpole-16", {28, 2048, 2});
  ASSERT_TRUE(placement.ok()) << placement.error().message;
  EXPECT_EQ(placement->cards, 16);
  EXPECT_EQ(placement->cards_used, 16);
  EXPECT_EQ(placement->instances, 1);
  ASSERT_EQ(placement->stages.size(), 16u);
  for (int card = 0; card < 14; ++card) {
    const PlacedStage& placed = placement->stages[static_cast<size_t>(card)];
    EXPECT_EQ(placed.card, card);
    EXPECT_EQ(placed.stage.label, "layer " + std::to_string(card));
    EXPECT_EQ(placed.stage.has_embedding, card == 0);
    EXPECT_EQ(placed.ledger.weight_codes, 104 * kMiB);
    EXPECT_EQ(placed.ledger.kv_codes, 56 * kMiB);
    EXPECT_EQ(placed.ledger.kv_scales, 0);
    EXPECT_EQ(placed.ledger.capacity, 192 * kMiB);
    // One f32 a channel: Q and O 4096, K and V 1024, gate and up 14,336, down 4096.
    EXPECT_EQ(placed.ledger.weight_scales, 4 * (2 * 4096 + 2 * 1024 + 2 * 14336 + 4096));
    EXPECT_GT(placed.ledger.buffers, 0);
    EXPECT_GT(placed.ledger.norms_biases, 2 * 4096 * 4);
    EXPECT_GT(placed.ledger.free(), 31 * kMiB);
    EXPECT_LT(placed.ledger.free(), 32 * kMiB);
  }
  for (int rank = 0; rank < 2; ++rank) {
    const PlacedStage& placed = placement->stages[static_cast<size_t>(14 + rank)];
    EXPECT_EQ(placed.card, 14 + rank);
    EXPECT_EQ(placed.stage.rank, rank);
    EXPECT_EQ(placed.stage.of, 2);
    EXPECT_TRUE(placed.stage.has_output);
    EXPECT_EQ(placed.ledger.weight_codes, 96 * kMiB);  // half of 49,152 × 4096 bytes
    EXPECT_EQ(placed.ledger.kv_codes, 0);
  }
  EXPECT_EQ(placement->host_bytes, 384 * kMiB);  // the table in bf16
  EXPECT_EQ(placement->max_users, 43);           // (192 − 104 − less than 1) / 2
  // 28 users × 64 positions × 1 KiB = 1.75 MiB a page; (192 − 104 − less than 1) / 1.75 = 49 pages
  EXPECT_EQ(placement->max_context, 49 * 64);
}

TEST(Placement, MaxUsersFitAndOneMoreDoesNot) {
  for (const auto& [users, fits] : {std::pair{43, true}, {44, false}}) {
    const auto placement = PlaceNamed("granite-3b-14l", "w4a4:static", "northpole-16", {users, 2048, 2});
    EXPECT_EQ(placement.ok(), fits) << users;
  }
  EXPECT_TRUE(PlaceNamed("granite-3b-14l", "w4a4:static", "northpole-16", {28, 49 * 64, 2}).ok());
  EXPECT_FALSE(PlaceNamed("granite-3b-14l", "w4a4:static", "northpole-16", {28, 49 * 64 + 1, 2}).ok());
}

TEST(Placement, EightBitKvIsRefusedWithWhatWouldFit) {
  const auto placement = PlaceNamed("granite-3b-14l", "w4a8:static", "northpole-16", {28, 2048, 2});
  ASSERT_FALSE(placement.ok());
  EXPECT_EQ(placement.error().code, ErrorCode::kInfeasible);
  ExpectContains(
      placement.error().message,
      {"granite-3b-14l in w4a8:static for 28 users of 2,048 positions does not fit northpole-16", "card 0 (layer 0)",
       "192.0 MiB", "weight codes 104.0 MiB", "KV codes 112.0 MiB", "30 cards", "there are 16",
       "21 users at 2,048 positions", "28 users at 1,536 positions", "recipe w4a4:static", "30 such cards"});
  // Every suggestion holds, and the first two are tight.
  EXPECT_TRUE(PlaceNamed("granite-3b-14l", "w4a8:static", "northpole-16", {21, 2048, 2}).ok());
  EXPECT_FALSE(PlaceNamed("granite-3b-14l", "w4a8:static", "northpole-16", {22, 2048, 2}).ok());
  EXPECT_TRUE(PlaceNamed("granite-3b-14l", "w4a8:static", "northpole-16", {28, 1536, 2}).ok());
  EXPECT_FALSE(PlaceNamed("granite-3b-14l", "w4a8:static", "northpole-16", {28, 1537, 2}).ok());
  const auto config = LoadModelConfig("granite-3b-14l");
  const auto recipe = ParseRecipe("w4a8:static");
  ASSERT_TRUE(config.ok() && recipe.ok());
  EXPECT_TRUE(Place(*config, *recipe, *NorthPole(30), {28, 2048, 2}).ok());
  EXPECT_FALSE(Place(*config, *recipe, *NorthPole(29), {28, 2048, 2}).ok());
}

// 95 MiB of codes and 112 MiB of KV do not fit one card, so attention and MLP take one each.
TEST(Placement, TheRackPlacesAttentionAndMlpApart) {
  const auto placement = PlaceNamed("granite-3.3-8b", "w4a8c8", "northpole-288", {28, 2048, 2});
  ASSERT_TRUE(placement.ok()) << placement.error().message;
  EXPECT_EQ(placement->cards_used, 82);
  EXPECT_EQ(placement->instances, 3);
  const PlacedStage& attention = placement->stages[2];
  EXPECT_EQ(attention.stage.label, "layer 1 attention");
  EXPECT_EQ(attention.ledger.weight_codes, 20 * kMiB);
  EXPECT_EQ(attention.ledger.kv_codes, 112 * kMiB);
  const PlacedStage& mlp = placement->stages[3];
  EXPECT_EQ(mlp.stage.label, "layer 1 MLP");
  EXPECT_EQ(mlp.ledger.weight_codes, 75 * kMiB);
  EXPECT_EQ(mlp.ledger.kv_codes, 0);
  // 49,159 columns: 1,537 panels of 16 on the first card, the rest on the second.
  EXPECT_EQ(placement->stages[80].ledger.weight_codes, 1537 * 16 * 4096);
  EXPECT_EQ(placement->stages[81].ledger.weight_codes, (49159 - 1537 * 16) * 4096);
}

// 336 MiB of a layer's MLP take two cards each: 80 × (1 + 2) + 6 for the output layer.
TEST(Placement, SeventyBillionParametersFitTheRackOnce) {
  const auto placement = PlaceNamed("llama-3-70b", "w4a8c8", "northpole-288", {28, 2048, 2});
  ASSERT_TRUE(placement.ok()) << placement.error().message;
  EXPECT_EQ(placement->cards_used, 246);
  EXPECT_EQ(placement->instances, 1);
  EXPECT_EQ(placement->stages[1].stage.label, "layer 0 MLP 1/2");
  EXPECT_EQ(placement->stages[1].ledger.weight_codes, 168 * kMiB);
}

TEST(Placement, LayersShareCardsWhereCardsAreFew) {
  const auto config = LoadModelConfig("gpt2");
  const auto recipe = ParseRecipe("w8a8");
  ASSERT_TRUE(config.ok() && recipe.ok());
  const auto labels = [&](int cards) {
    const auto placement = Place(*config, *recipe, *NorthPole(cards), {4, 512, 4});
    EXPECT_TRUE(placement.ok()) << placement.error().message;
    std::vector<std::string> found;
    for (const PlacedStage& placed : placement->stages) found.push_back(placed.stage.label);
    return found;
  };
  EXPECT_EQ(labels(16).size(), 13u);  // twelve layers and the output layer; three cards stay free
  EXPECT_EQ(labels(6), (std::vector<std::string>{"layers 0–2", "layers 3–5", "layers 6–8", "layers 9–11", "output"}));
  EXPECT_EQ(labels(3), (std::vector<std::string>{"layers 0–5", "layers 6–11", "output"}));
  EXPECT_EQ(labels(1), (std::vector<std::string>{"layers 0–11 + output"}));
}

TEST(Placement, TooFewCardsNameTheCardThatOverflows) {
  const auto config = LoadModelConfig("llama-3-8b");
  const auto recipe = ParseRecipe("w4a4");
  ASSERT_TRUE(config.ok() && recipe.ok());
  const auto placement = Place(*config, *recipe, *NorthPole(16), {1, 256, 1});
  ASSERT_FALSE(placement.ok());
  ExpectContains(placement.error().message, {"card 0 (layers 0–2)", "weight codes 312.0 MiB", "35 such cards"});
  const auto one = Place(*config, *recipe, *NorthPole(1), {1, 256, 1});
  ASSERT_FALSE(one.ok());
  ExpectContains(one.error().message, {"card 0 (output)", "weight codes 501.0 MiB", "35 such cards"});
}

TEST(Placement, RefusesSenselessDemands) {
  const auto message = [](Demand demand) {
    const auto placement = PlaceNamed("granite-3b-14l", "w4a4", "northpole-16", demand);
    EXPECT_FALSE(placement.ok());
    EXPECT_EQ(placement.error().code, ErrorCode::kInvalid);
    return placement.ok() ? std::string() : placement.error().message;
  };
  ExpectContains(message({0, 2048, 1}), {"users: found 0"});
  ExpectContains(message({-5, 2048, 1}), {"users: found -5"});
  ExpectContains(message({1'000'001, 2048, 1}), {"users: found 1000001", "1000000"});
  ExpectContains(message({1, 0, 1}), {"context: found 0"});
  ExpectContains(message({1, INT64_MAX, 1}), {"context"});
  ExpectContains(message({1, 1 << 29, 1}), {"context", "granite-3b-14l has"});
  ExpectContains(message({1, 2048, 0}), {"rows in a pass: found 0"});
}

TEST(Placement, LargeDemandsDoNotOverflow) {
  auto config = LoadModelConfig("llama-3-70b");
  const auto recipe = ParseRecipe("w8a8");
  ASSERT_TRUE(config.ok() && recipe.ok());
  config->max_positions = kMaxPlacedContext;
  for (int cards : {1, 1'000'000}) {
    const auto placement =
        Place(*config, *recipe, *NorthPole(cards), {kMaxPlacedUsers, kMaxPlacedContext, kMaxPlacedRows});
    ASSERT_FALSE(placement.ok());
    EXPECT_EQ(placement.error().code, ErrorCode::kInfeasible);
    EXPECT_EQ(placement.error().message.find('-'), placement.error().message.find("-3-70b"))
        << "a negative number: " << placement.error().message;
  }
  const auto placement = Place(*config, *recipe, *NorthPole(1'000'000), {1, 64, 1});
  ASSERT_TRUE(placement.ok()) << placement.error().message;
  const int servers = (placement->cards_used + 15) / 16;  // each instance has its own
  EXPECT_EQ(placement->instances, 1'000'000 / 16 / servers);
}

// Thirteen cards of a server of sixteen: one a server, though 288 / 13 is 22.
TEST(Placement, InstancesAreThoseOfASearch) {
  const auto placement = PlaceNamed("gpt2", "w8a8", "northpole-288", {1, 1024, 1});
  ASSERT_TRUE(placement.ok()) << placement.error().message;
  EXPECT_EQ(placement->cards_used, 13);
  EXPECT_EQ(placement->instances, 18);
}

// Layers that would share a card, and an output layer that takes both cards: what overflows is the two together.
TEST(Placement, AnOutputLayerOnAllCardsLeavesNoneForLayers) {
  ModelConfig config = *LoadModelConfig("gpt2");
  config.vocab = 400'000;
  const auto placement = Place(config, *ParseRecipe("w8a8"), *NorthPole(2), {1, 64, 1});
  ASSERT_FALSE(placement.ok());
  ExpectContains(placement.error().message,
                 {"card 0 (layers 0–11 + output)", "MiB too much", "14 cards, and there are 2"});
  EXPECT_EQ(placement.error().message.find(" -"), std::string::npos) << placement.error().message;
}

TEST(Placement, OneIsSingular) {
  const auto placement = PlaceNamed("granite-3b-14l", "w4a4:static", "northpole-16", {1'000'000, 1, 1});
  ASSERT_FALSE(placement.ok());
  ExpectContains(placement.error().message, {"for 1,000,000 users of 1 position does not fit", "users at 1 position"});
}

TEST(DemandOf, ExtremesStayInRange) {
  constexpr int kMost = std::numeric_limits<int>::max();
  EXPECT_EQ(LargestGroup(kMost, 2), 1 << 30);
  EXPECT_EQ(LargestGroup(5, 0), 5);
  EXPECT_EQ(DemandOf(kMost, 1, 64, 64, kMost).rows_per_pass, kMost);
}

TEST(PlaceOnHost, HoldsTheWholeModelOnOneCard) {
  const auto config = LoadModelConfig("gpt2");
  const auto recipe = ParseRecipe("f32");
  ASSERT_TRUE(config.ok() && recipe.ok());
  const auto placement = PlaceOnHost(*config, *recipe, {3, 100, 16}, std::nullopt);
  ASSERT_TRUE(placement.ok()) << placement.error().message;
  ASSERT_EQ(placement->stages.size(), 1u);
  EXPECT_EQ(placement->cards_used, 1);
  EXPECT_EQ(placement->instances, 1);
  const PlacedStage& placed = placement->stages[0];
  EXPECT_TRUE(placed.stage.has_embedding && placed.stage.has_output);
  EXPECT_EQ(placed.stage.layers, 12);
  EXPECT_EQ(placed.ledger.free(), 0);
  // 3 users × 2 pages of 64 × 12 layers × K and V of 768 values of 4 bytes
  EXPECT_EQ(placed.ledger.kv_codes, 3 * 128 * 12 * 2 * 768 * 4);
  EXPECT_EQ(placement->host_bytes, (50257 + 1024) * 768 * 4);
}

TEST(PlaceOnHost, KeepsToAMemoryLimit) {
  const auto config = LoadModelConfig("gpt2");
  const auto recipe = ParseRecipe("f32");
  ASSERT_TRUE(config.ok() && recipe.ok());
  const auto fits = PlaceOnHost(*config, *recipe, {3, 100, 16}, kGiB);
  ASSERT_TRUE(fits.ok()) << fits.error().message;
  EXPECT_EQ(fits->stages[0].ledger.capacity, kGiB - fits->host_bytes);
  EXPECT_TRUE(PlaceOnHost(*config, *recipe, {fits->max_users, 100, 16}, kGiB).ok());
  const auto more = PlaceOnHost(*config, *recipe, {fits->max_users + 1, 100, 16}, kGiB);
  ASSERT_FALSE(more.ok());
  EXPECT_EQ(more.error().code, ErrorCode::kInfeasible);
  ExpectContains(more.error().message, {"1.0 GiB", std::to_string(fits->max_users) + " users at 100 positions"});
  const auto none = PlaceOnHost(*config, *recipe, {1, 100, 16}, 0);
  ASSERT_FALSE(none.ok());
  ExpectContains(none.error().message, {"not one user"});
}

TEST(PagesPerUser, RoundsUpToWholePages) {
  EXPECT_EQ(PagesPerUser(1), 1);
  EXPECT_EQ(PagesPerUser(64), 1);
  EXPECT_EQ(PagesPerUser(65), 2);
  EXPECT_EQ(PagesPerUser(2048), 32);
  EXPECT_EQ(PagesPerUser(0), 0);
  EXPECT_EQ(PagesPerUser(INT64_MAX), (int64_t{1} << 57));
}

}  // namespace
}  // namespace lodestone
