#include <gtest/gtest.h>

#include <random>

#include "engine/engine_run.h"

namespace lodestone {
namespace {

using testing::EngineRun;
using testing::FakeLog;
using testing::FakeOptions;
using testing::RowCost;

struct RandomRun {
  std::vector<int> ranks;
  EngineOptions options;
  std::vector<Request> requests;
};

RandomRun Draw(uint32_t seed, bool splits) {
  std::mt19937 random(seed);
  const auto pick = [&](int low, int high) { return std::uniform_int_distribution<int>(low, high)(random); };
  RandomRun run;
  run.ranks.resize(static_cast<size_t>(pick(2, 4)), 1);
  if (splits && pick(0, 1)) run.ranks[1] = 2;
  run.ranks.back() = pick(1, 2);
  run.options = FakeOptions(pick(1, 8), pick(1, 3) == 1 ? 1 : pick(1, 200), 0);
  run.options.reserve_pages = pick(0, 3) == 0;
  run.options.prefix_sharing = pick(0, 2) > 0;
  if (pick(0, 3) == 0) run.options.max_users = pick(3, 6);
  const int users = pick(1, 9);
  int64_t most = 0, pages = 0;
  for (int user = 0; user < users; ++user) {
    Request request =
        testing::FakeRequest(pick(1, 3) == 1 ? pick(60, 140) : pick(1, 20),
                             pick(1, 3) == 1 ? pick(60, 90) : pick(1, 12), static_cast<uint32_t>(pick(0, 3)));
    if (!run.options.reserve_pages && pick(0, 2) == 0) request.n = pick(2, 3);
    if (pick(0, 1)) request.sampling = {.temperature = 0.8, .top_p = 0.9, .repetition_penalty = 1.1, .seed = seed};
    request.sampling_key = static_cast<uint64_t>(user);
    if (pick(0, 2) == 0) request.eos_ids = {pick(0, 9), pick(10, 19), pick(20, 49)};
    const int64_t needed = (static_cast<int64_t>(request.prompt.size()) + request.max_tokens + 63) / 64;
    most = std::max(most, needed);
    pages += needed;
    run.requests.push_back(std::move(request));
  }
  // From a store that barely holds the longest user to one that holds everyone.
  run.options.pages = std::uniform_int_distribution<int>(static_cast<int>(most), static_cast<int>(pages))(random);
  return run;
}

// What every choice of every request hears, in order.
std::vector<testing::Heard> Hear(EngineRun& run, const std::vector<Request>& requests) {
  std::vector<RequestId> ids;
  for (const Request& request : requests) ids.push_back(run.Add(request));
  EXPECT_TRUE(run.Finish().empty());
  std::vector<testing::Heard> heard;
  for (size_t user = 0; user < ids.size(); ++user) {
    heard.push_back(run.heard[ids[user]]);
    for (int choice = 1; choice < requests[user].n; ++choice) heard.push_back(run.choices[{ids[user], choice}]);
  }
  return heard;
}

// The requests of one choice that make the same choices.
std::vector<Request> Apart(const std::vector<Request>& requests) {
  std::vector<Request> apart;
  for (const Request& request : requests) {
    for (int choice = 0; choice < request.n; ++choice) {
      apart.push_back(request);
      apart.back().n = 1;
      apart.back().sampling_key = ChoiceKey(request.sampling_key, choice);
    }
  }
  return apart;
}

TEST(EngineProperty, EveryChoiceOfEveryUserGetsTheTokensThatItGetsAlone) {
  int64_t preemptions = 0, cached = 0;
  for (uint32_t seed = 0; seed < 150; ++seed) {
    const RandomRun drawn = Draw(seed, true);
    EngineRun together(drawn.ranks, std::make_shared<FakeLog>(), nullptr, drawn.options);
    const auto heard = Hear(together, drawn.requests);
    EXPECT_EQ(together.engine.stats().free_pages, drawn.options.pages);
    EXPECT_EQ(together.engine.stats().requests, 0);
    preemptions += together.engine.stats().preemptions;
    const std::vector<Request> apart = Apart(drawn.requests);
    for (size_t user = 0; user < apart.size(); ++user) {
      EngineRun alone(drawn.ranks, std::make_shared<FakeLog>(), nullptr, FakeOptions(1, 1000));
      const auto expected = Hear(alone, {apart[user]});
      EXPECT_EQ(heard[user].ids, expected[0].ids) << "seed " << seed << ", user " << user;
      EXPECT_EQ(heard[user].finish, expected[0].finish) << "seed " << seed << ", user " << user;
      EXPECT_FALSE(heard[user].ids.empty());
      cached += heard[user].life.cached_tokens;
    }
    EXPECT_EQ(heard[0].life.preemptions, 0) << "seed " << seed << ": the oldest gave way";
  }
  // The runs were such that there was something to go wrong.
  EXPECT_GT(preemptions, 20);
  EXPECT_GT(cached, 1000);
}

// Simulation without tokens follows the same schedule as real tokens, at the same times, with the same loads.
TEST(EngineProperty, SimulationAloneEqualsSimulationWithTokens) {
  for (uint32_t seed = 0; seed < 150; ++seed) {
    RandomRun drawn = Draw(seed, false);
    drawn.options.prefix_sharing = false;  // without contents, no two prompts are known to be alike
    for (Request& request : drawn.requests) request.ignore_eos = true;
    Links links;
    links.bytes_per_s = 1e12;
    links.latency = {seed % 50};
    links.host_turnaround = {seed % 70};
    const auto cost = [](const Stage&, const Load& load) {
      return StageCost{
          .time = {100 + 3 * load.context_sum}, .input_bytes = 2 * load.rows, .output_bytes = load.logit_rows};
    };
    auto log = std::make_shared<FakeLog>();
    testing::LoadListener real_loads, simulated_loads;
    EngineRun real(drawn.ranks, log, cost, drawn.options, nullptr, links);
    EngineRun simulated(drawn.ranks, nullptr, cost, drawn.options, nullptr, links);
    real.appliance->Observe(&real_loads);
    simulated.appliance->Observe(&simulated_loads);
    const auto heard = Hear(real, drawn.requests), heard_simulated = Hear(simulated, drawn.requests);
    for (size_t user = 0; user < heard.size(); ++user) {
      EXPECT_EQ(heard[user].times, heard_simulated[user].times) << "seed " << seed;
    }
    const std::vector<Load>&with = real_loads.loads, &without = simulated_loads.loads, &of_rows = log->loads;
    ASSERT_EQ(with.size(), without.size()) << "seed " << seed;
    ASSERT_EQ(with.size(), of_rows.size());
    for (size_t i = 0; i < with.size(); ++i) {
      for (const Load* load : {&without[i], &of_rows[i]}) {  // the latter is LoadOf(rows)
        EXPECT_EQ(with[i].rows, load->rows) << "seed " << seed << ", pass " << i;
        EXPECT_EQ(with[i].logit_rows, load->logit_rows);
        EXPECT_EQ(with[i].sequences, load->sequences);
        EXPECT_EQ(with[i].context_sum, load->context_sum);
        EXPECT_EQ(with[i].context_max, load->context_max);
        EXPECT_EQ(with[i].kv_tokens_read, load->kv_tokens_read);
      }
    }
    for (const StageStats& stage : simulated.appliance->stats()) EXPECT_LE(stage.busy, simulated.clock.Now());
  }
}

TEST(EngineProperty, PagesComeBackWhateverHappens) {
  for (uint32_t seed = 0; seed < 150; ++seed) {
    const RandomRun drawn = Draw(seed, true);
    std::mt19937 random(seed + 1000);
    auto log = std::make_shared<FakeLog>();
    if (seed % 2 == 0) log->fail_pass = random() % 20;
    if (seed % 3 == 0) log->nan_pass = random() % 20;
    EngineRun run(drawn.ranks, log, nullptr, drawn.options);
    std::vector<RequestId> ids;
    for (const Request& request : drawn.requests) ids.push_back(run.Add(request));
    for (int step = 0; step < 12; ++step) {
      if (random() % 3 == 0) run.engine.Cancel(ids[random() % ids.size()]);
      if (random() % 4 == 0) ids.push_back(run.Add(drawn.requests[0]));
      (void)run.engine.Step();
    }
    run.Finish();
    EXPECT_EQ(run.engine.stats().free_pages, drawn.options.pages) << "seed " << seed;
    for (RequestId id : ids) EXPECT_NE(run.heard[id].finish, FinishReason::kNone) << "seed " << seed;
    for (const auto& [id, heard] : run.choices) EXPECT_NE(heard.finish, FinishReason::kNone) << "seed " << seed;
    EXPECT_EQ(run.engine.stats().requests, 0);
    EXPECT_FALSE(*run.engine.Step());
  }
}

}  // namespace
}  // namespace lodestone
