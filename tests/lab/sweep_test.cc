#include "lab/sweep.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/catalog.h"

namespace lodestone::testing {
namespace {

constexpr const char* kHead = "kind = \"sweep\"\nname = \"s\"\nmodel = \"nano-14l\"\nappliance = \"northpole-16\"\n";

Result<Sweep> Parse(const std::string& text) {
  const Result<Json> toml = ParseToml(text, "s.toml");
  if (!toml.ok()) return toml.error();
  return ParseSweep(*toml, "s.toml");
}

const std::string& SmallSweep() {
  static const std::string text = std::string(kHead) +
                                  "[workload]\nrecipe = \"w4a4\"\nmicro_batches = 4\n"
                                  "[axes]\ncontext = [32, 4096]\ntransfers = [\"direct\", \"host\"]\n"
                                  "\"card.link_bytes_per_s\" = [1e9, 8e9]\nusers = {from = 1, to = 7, step = 3}\n";
  return text;
}

TEST(Sweep, ReadsAxesAndRanges) {
  const Result<Sweep> sweep = Parse(SmallSweep());
  ASSERT_TRUE(sweep.ok()) << sweep.error().message;
  EXPECT_EQ(sweep->points(), 2 * 2 * 2 * 3);
  ASSERT_EQ(sweep->axes.size(), 4u);
  EXPECT_EQ(sweep->axes[3].name, "users");
  ASSERT_EQ(sweep->axes[3].values.size(), 3u);
  EXPECT_EQ(*sweep->axes[3].values[2].as_int(), 7);
  EXPECT_EQ(sweep->axes[0].line, 9);
}

TEST(Sweep, RefusesWithKeyAndLine) {
  const std::string workload = "[workload]\nrecipe = \"w4a4\"\ncontext = 64\n";
  const struct {
    std::string text, says;
  } cases[] = {
      {"kind = \"card\"\n", "s.toml:1: key 'kind': found 'card', expected 'sweep'"},
      {std::string(kHead) + "colour = 1\n" + workload + "[axes]\nusers = [1]\n", "s.toml:5: key 'colour'"},
      {std::string(kHead) + workload, "key 'axes'"},
      {std::string(kHead) + workload + "[axes]\n", "[axes] is empty"},
      {std::string(kHead) + workload + "[axes]\nusers = []\n", "s.toml:9: key 'axes.users': found 0 values"},
      {std::string(kHead) + workload + "[axes]\nusers = 3\n", "s.toml:9: key 'axes.users': found an integer"},
      {std::string(kHead) + workload + "[axes]\nusers = [1, 2.5]\n", "s.toml:9: key 'axes.users': found a real"},
      {std::string(kHead) + workload + "[axes]\nusers = [0]\n", "s.toml:9: key 'axes.users': found 0, expected 1 to"},
      {std::string(kHead) + workload + "[axes]\nusers = {from = 3, to = 1}\n",
       "s.toml:9: key 'axes.users': found a range"},
      {std::string(kHead) + workload + "[axes]\nusers = {from = 1, to = 3, by = 1}\n", "by"},
      {std::string(kHead) + workload + "[axes]\nusers = {from = 1, to = 3.5}\n", "whole numbers"},
      {std::string(kHead) + workload + "[axes]\nuser = [1]\n", "did you mean 'users'"},
      {std::string(kHead) + workload + "[axes]\ncard.chip.clock_hz = [4e8]\n", "stands in quotes"},
      {std::string(kHead) + workload + "[axes]\n\"card.chip.clock\" = [1e8]\n", "did you mean 'card.chip.clock_hz'"},
      {std::string(kHead) + workload + "[axes]\n\"card.chip.clock_hz\" = [-1]\n", "expected a number from"},
      {std::string(kHead) + workload + "[axes]\n\"card.chip.clock_hz\" = [\"fast\"]\n", "found a string"},
      {std::string(kHead) + workload + "[axes]\ntransfers = [\"dma\"]\n", "'direct' or 'host'"},
      {std::string(kHead) + workload + "[axes]\nfidelity = [\"true\"]\n", "'calibrated' or 'ideal'"},
      {std::string(kHead) + "[axes]\nrecipe = [\"w3\"]\ncontext = [64]\n", "s.toml:6: key 'axes.recipe'"},
      {std::string(kHead) + workload + "[axes]\ncontext = [64]\n", "s.toml:9: key 'context': stands in [workload] too"},
      {std::string(kHead) + workload + "prompt_tokens = 3\n[axes]\nusers = [1]\n",
       "s.toml:8: key 'prompt_tokens': stands beside context"},
      {std::string(kHead) + "[workload]\nprompt_tokens = 3\n[axes]\nusers = [1]\n",
       "neither context nor output_tokens"},
      {std::string(kHead) + "[workload]\n[axes]\nusers = {from = 1, to = 1000}\ncontext = {from = 2, to = 1001}\n",
       "1000 users × 1000 context are 1000000 points, expected at most 100000"},
      {std::string(kHead) + "[workload]\n[axes]\nusers = {from = 1, to = 1000000}\n", "expected 1 to 100000 values"},
  };
  for (const auto& c : cases) {
    const Result<Sweep> sweep = Parse(c.text);
    ASSERT_FALSE(sweep.ok()) << c.text;
    EXPECT_NE(sweep.error().message.find(c.says), std::string::npos) << c.says << "\n" << sweep.error().message;
  }
}

TEST(Sweep, RefusesWhatContradictsTheAppliance) {
  const auto message = [](const std::string& text) {
    const Result<Sweep> sweep = Parse(text);
    EXPECT_TRUE(sweep.ok()) << sweep.error().message;
    const Result<SweepResult> result = RunSweep(*sweep, 1);
    return result.ok() ? std::string("ran") : result.error().message;
  };
  const std::string workload = "[workload]\nrecipe = \"w4a4\"\ncontext = 64\n";
  EXPECT_NE(message(std::string(kHead) + workload + "[axes]\ncards = [16, 32]\n")
                .find("s.toml:9: key 'cards': found 32 cards"),
            std::string::npos);
  EXPECT_NE(message(std::string(kHead) + workload + "[axes]\nnetwork_bytes_per_s = [1e9]\n").find("s.toml:9"),
            std::string::npos);
  EXPECT_NE(message(std::string(kHead) + "[workload]\ncontext = 64\n[axes]\nusers = [1]\n").find("no recipe"),
            std::string::npos);
  EXPECT_NE(message("kind = \"sweep\"\nname = \"s\"\nmodel = \"nan\"\nappliance = \"northpole-16\"\n" + workload +
                    "[axes]\nusers = [1]\n")
                .find("key 'model'"),
            std::string::npos);
  EXPECT_NE(message("kind = \"sweep\"\nname = \"s\"\nmodel = \"nano-14l\"\nappliance = \"northpole\"\n" + workload +
                    "[axes]\nusers = [1]\n")
                .find("key 'appliance'"),
            std::string::npos);
}

TEST(Sweep, APointIsTheSimulationOfItsValues) {
  const Result<SweepResult> result = RunSweep(*Parse(SmallSweep()), 2);
  ASSERT_TRUE(result.ok()) << result.error().message;
  ASSERT_EQ(result->points.size(), 24u);
  const SweepPoint& point = result->points[7];  // 32, host, 1e9, the second of the users
  EXPECT_EQ(*point.values[0].as_int(), 32);
  EXPECT_EQ(*point.values[1].as_string(), "host");
  EXPECT_EQ(*point.values[3].as_int(), 4);
  SimulationOptions options;
  options.config = *LoadModelConfig("nano-14l");
  options.recipe = *ParseRecipe("w4a4");
  options.spec = *LoadAppliance("northpole-16");
  ASSERT_TRUE(SetFigure(options.spec, "card.link_bytes_per_s", 1e9).ok());
  options.transfers = Transfers::kHost;
  options.users = options.micro_batches = 4;
  options.prompt_tokens = options.output_tokens = 16;
  const Result<SimulatedRun> run = SimulateBatch(options);
  ASSERT_TRUE(run.ok()) << run.error().message;
  EXPECT_EQ(point.run.token_gen_time_s, run->run.token_gen_time_s);
  EXPECT_EQ(point.joules_per_token, run->energy.total_j() / 64);
  EXPECT_STREQ(point.bottleneck.bound(), run->bottleneck.bound());
}

TEST(Sweep, WhatDoesNotRunIsALineWithItsReason) {
  const Result<SweepResult> result = RunSweep(*Parse(SmallSweep()), 2);
  ASSERT_TRUE(result.ok()) << result.error().message;
  const std::string csv = SweepCsv(*result);
  EXPECT_EQ(std::count(csv.begin(), csv.end(), '\n'), 25);
  EXPECT_EQ(csv.substr(0, csv.find(",status")), "context,transfers,card.link_bytes_per_s,users");
  const Json json = ToJson(*result);
  int refused = 0;
  for (const Json& point : *json.Find("points")->as_array()) {
    const bool runs = *point.Find("status")->as_string() == "ok";
    EXPECT_EQ(point.Find("tokens_per_s")->is_null(), !runs);
    EXPECT_EQ(point.Find("reason")->is_null(), runs);
    refused += runs ? 0 : 1;
  }
  EXPECT_EQ(refused, 12);  // nano-14l has 2,048 positions
  EXPECT_NE(csv.find("refused,,"), std::string::npos);
  EXPECT_NE(csv.find("4096 positions, and 'nano-14l' has 2048"), std::string::npos);
}

TEST(SweepProperty, BytesDoNotDependOnTheThreads) {
  const Sweep sweep = *Parse(SmallSweep());
  const auto bytes = [&](int threads) {
    int heard = 0;
    const Result<SweepResult> result = RunSweep(sweep, threads, [&] { ++heard; });
    EXPECT_EQ(heard, 24);
    return SweepCsv(*result) + ToJson(*result).Dump() + SweepPage(*result);
  };
  const std::string one = bytes(1);
  EXPECT_EQ(one, bytes(2));
  EXPECT_EQ(one, bytes(7));
}

TEST(SweepProperty, NothingBeatsTheFront) {
  const Result<SweepResult> result = RunSweep(*Parse(SmallSweep()), 2);
  ASSERT_TRUE(result.ok());
  const std::vector<size_t> front = ParetoFront(result->points);
  ASSERT_FALSE(front.empty());
  const auto as_good = [](const SweepPoint& a, const SweepPoint& b) {
    return a.tokens_per_s_per_card() >= b.tokens_per_s_per_card() &&
           *a.tokens_per_s_per_user() >= *b.tokens_per_s_per_user();
  };
  // A point is either in the front, where no other of the front is as good in both rates, or one of the front is.
  for (size_t i = 0; i < result->points.size(); ++i) {
    const SweepPoint& point = result->points[i];
    if (!point.ok()) continue;
    const bool beaten =
        std::any_of(front.begin(), front.end(), [&](size_t f) { return f != i && as_good(result->points[f], point); });
    const bool in_front = std::find(front.begin(), front.end(), i) != front.end();
    EXPECT_NE(beaten, in_front) << i;
  }
}

TEST(Sweep, ThePageIsWholeAndNamesTheFront) {
  const Result<SweepResult> result = RunSweep(*Parse(SmallSweep()), 2);
  const std::string page = SweepPage(*result);
  EXPECT_NE(page.find("<svg"), std::string::npos);
  EXPECT_NE(page.find("12 of 24 combinations do not run"), std::string::npos);
  EXPECT_EQ(page.find("http://www.w3"), page.find("http://"));  // nothing is asked of a network
}

TEST(Sweep, TheCatalogueHasExperimentsThatCanBeRead) {
  const std::vector<CatalogFile> files = CatalogFilesIn("experiments");
  int sweeps = 0;
  for (const CatalogFile& file : files) {
    if (!file.contents.starts_with("kind = \"sweep\"")) continue;
    ++sweeps;
    const Result<Sweep> sweep = LoadSweep(std::string(file.stem()));
    ASSERT_TRUE(sweep.ok()) << sweep.error().message;
    EXPECT_EQ(sweep->name, file.stem());
    EXPECT_FALSE(sweep->description.empty());
  }
  EXPECT_GE(sweeps, 3);
  const Result<Sweep> unknown = LoadSweep("northpole-curv");
  ASSERT_FALSE(unknown.ok());
  EXPECT_NE(unknown.error().message.find("did you mean 'northpole-curve'"), std::string::npos);
  EXPECT_FALSE(LoadSweep("no/such/file.toml").ok());
}

}  // namespace
}  // namespace lodestone::testing
