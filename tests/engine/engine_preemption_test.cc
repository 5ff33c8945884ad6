// Pages taken as they are needed: who gives way when they are short, and who waits.
#include <gtest/gtest.h>

#include <algorithm>

#include "engine/engine_run.h"

namespace lodestone {
namespace {

using testing::EngineRun;
using testing::FakeLog;
using testing::FakeOptions;
using testing::FakeRequest;
using testing::RowCost;

EngineOptions OnDemand(int pages, int micro_batches = 1) {
  EngineOptions options = FakeOptions(micro_batches, 64, pages);
  options.reserve_pages = false;
  return options;
}

std::vector<int32_t> Alone(const Request& request, const std::vector<int>& ranks = {1, 1}) {
  EngineRun run(ranks, std::make_shared<FakeLog>(), nullptr, FakeOptions(1, 1000));
  const RequestId id = run.Add(request);
  EXPECT_TRUE(run.Finish().empty());
  return run.heard[id].ids;
}

TEST(EnginePreemption, PagesAreTakenAsTheOutputReachesThem) {
  EngineRun run({1}, nullptr, RowCost, OnDemand(8));
  const RequestId id = run.Add(FakeRequest(60, 200));
  ASSERT_TRUE(*run.engine.Step());
  EXPECT_EQ(run.engine.stats().free_pages, 7);
  for (int step = 0; step < 5; ++step) ASSERT_TRUE(*run.engine.Step());  // writes to positions 60 … 64
  EXPECT_EQ(run.engine.stats().free_pages, 6);
  EXPECT_TRUE(run.Finish().empty());
  EXPECT_EQ(run.heard[id].life.generated, 200);
  EXPECT_EQ(run.heard[id].life.preemptions, 0);
}

TEST(EnginePreemption, TheYoungestGivesWayAndGoesOnWithTheSameTokens) {
  // Two users of three pages each, four in all.
  EngineRun run({1, 1}, std::make_shared<FakeLog>(), nullptr, OnDemand(4));
  const Request a = FakeRequest(60, 120, 1), b = FakeRequest(60, 120, 2);
  const RequestId first = run.Add(a), second = run.Add(b);
  EXPECT_TRUE(run.Finish().empty());
  EXPECT_EQ(run.heard[first].life.preemptions, 0);
  EXPECT_EQ(run.heard[second].life.preemptions, 1);
  EXPECT_EQ(run.engine.stats().preemptions, 1);
  EXPECT_EQ(run.heard[first].ids, Alone(a));
  EXPECT_EQ(run.heard[second].ids, Alone(b));
  EXPECT_EQ(run.heard[second].life.cached_tokens, 0);
  EXPECT_EQ(run.engine.stats().free_pages, 4);
}

// With other micro-batches in the chain, the youngest may be in a pass: then the older one waits for it.
TEST(EnginePreemption, NobodyGivesWayInsideAPass) {
  for (int micro_batches = 1; micro_batches <= 4; ++micro_batches) {
    EngineRun run({1, 1, 1}, std::make_shared<FakeLog>(), nullptr, OnDemand(6, micro_batches));
    std::vector<Request> requests;
    std::vector<RequestId> ids;
    for (uint32_t user = 0; user < 5; ++user) {
      requests.push_back(FakeRequest(30 + 10 * static_cast<int>(user), 150, user));
      ids.push_back(run.Add(requests.back()));
    }
    EXPECT_TRUE(run.Finish().empty());
    for (size_t user = 0; user < ids.size(); ++user)
      EXPECT_EQ(run.heard[ids[user]].ids, Alone(requests[user], {1, 1, 1}));
    EXPECT_EQ(run.heard[ids[0]].life.preemptions, 0);
    EXPECT_GT(run.engine.stats().preemptions, 0);
    EXPECT_EQ(run.engine.stats().free_pages, 6);
  }
}

// A user's own turn does not depend on how many are younger: the oldest ends as soon as he does alone.
TEST(EnginePreemption, TheOldestIsNotHeldUp) {
  const auto passes_to_end = [](int others) {
    EngineRun run({1}, nullptr, RowCost, OnDemand(4));
    const RequestId id = run.Add(FakeRequest(60, 150));
    for (int user = 0; user < others; ++user) run.Add(FakeRequest(60, 150));
    while (run.heard[id].finish == FinishReason::kNone) EXPECT_TRUE(*run.engine.Step());
    return run.engine.stats().passes;
  };
  EXPECT_EQ(passes_to_end(0), 150);
  EXPECT_EQ(passes_to_end(7), 150);
}

TEST(EnginePreemption, ARequestCancelledAfterItGaveWayEnds) {
  EngineRun run({1, 1}, std::make_shared<FakeLog>(), nullptr, OnDemand(4));
  run.Add(FakeRequest(60, 120, 1));
  const RequestId second = run.Add(FakeRequest(60, 120, 2));
  while (run.engine.stats().preemptions == 0) ASSERT_TRUE(*run.engine.Step());
  EXPECT_EQ(run.engine.stats().waiting, 1);
  run.engine.Cancel(second);
  EXPECT_TRUE(run.Finish().empty());
  EXPECT_EQ(run.heard[second].finish, FinishReason::kCancelled);
  EXPECT_EQ(run.engine.stats().free_pages, 4);
}

TEST(EngineBounds, NoMoreUsersThanAllowedAreAdmitted) {
  EngineOptions options = OnDemand(64);
  options.max_users = 3;
  int most = 0;
  EngineRun run(
      {1}, nullptr,
      [&](const Stage&, const Load& load) {
        most = std::max(most, load.sequences);
        return StageCost{};
      },
      options);
  for (int user = 0; user < 8; ++user) {
    Request request = FakeRequest(5, 9);
    request.n = 1 + user % 3;
    run.Add(request);
  }
  EXPECT_TRUE(run.Finish().empty());
  EXPECT_EQ(most, 3);
}

TEST(EngineBounds, TheLineIsBounded) {
  EngineOptions options = OnDemand(64);
  options.max_users = 1;
  options.max_waiting = 2;
  EngineRun run({1}, nullptr, RowCost, options);
  run.Add(FakeRequest(5, 3));
  ASSERT_TRUE(*run.engine.Step());
  run.Add(FakeRequest(5, 3));
  run.Add(FakeRequest(5, 3));
  const auto refused = run.engine.Add(FakeRequest(5, 3), nullptr);
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kBusy);
  EXPECT_EQ(refused.error().message, "2 requests wait already; try again later");
  EXPECT_TRUE(run.Finish().empty());
  EXPECT_TRUE(run.engine.Add(FakeRequest(5, 3), nullptr).ok());
}

// A long prompt does not keep others from their tokens: between two of them lies one chunk at most.
TEST(EngineBounds, ARunningUserWaitsForOneChunkAtMost) {
  EngineOptions options = OnDemand(64);
  options.prefill_chunk = 10;
  EngineRun run({1}, nullptr, RowCost, options);
  const RequestId running = run.Add(FakeRequest(1, 40));
  ASSERT_TRUE(*run.engine.Step());
  for (int user = 0; user < 3; ++user) run.Add(FakeRequest(100, 5));
  EXPECT_TRUE(run.Finish().empty());
  const std::vector<Time>& times = run.heard[running].times;
  for (size_t i = 1; i < times.size(); ++i) {
    // A row each of at most four who decode, and the chunk.
    EXPECT_LE((times[i] - times[i - 1]).ps, 100 + 10 * (10 + 4));
  }
}

}  // namespace
}  // namespace lodestone
