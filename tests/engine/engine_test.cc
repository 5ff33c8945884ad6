#include "engine/engine.h"

#include <gtest/gtest.h>

#include <array>
#include <limits>

#include "engine/engine_run.h"

namespace lodestone {
namespace {

using testing::EngineRun;
using testing::FakeLog;
using testing::FakeOptions;
using testing::FakeRequest;
using testing::Ps;
using testing::RowCost;

// rows, logit rows, sequences, Σ context, longest context, KV tokens read
using Numbers = std::array<int64_t, 6>;
Numbers NumbersOf(const Load& load) {
  return {load.rows, load.logit_rows, load.sequences, load.context_sum, load.context_max, load.kv_tokens_read};
}

// A run on simulated cards that keeps the loads of its passes.
struct ListeningRun : EngineRun {
  ListeningRun(const std::vector<int>& ranks, const EngineOptions& options)
      : EngineRun(ranks, nullptr, RowCost, options) {
    appliance->Observe(&listener);
  }
  ~ListeningRun() { appliance->Observe(nullptr); }
  std::vector<Numbers> loads() const {
    std::vector<Numbers> all;
    for (const Load& load : listener.loads) all.push_back(NumbersOf(load));
    return all;
  }
  testing::LoadListener listener;
};

TEST(Engine, PassesCarryDecodeRowsThenPromptChunksInOrderOfAdmission) {
  ListeningRun run({1, 1}, FakeOptions(2, 4));
  for (int user = 0; user < 3; ++user) run.Add(FakeRequest(6, 3));
  EXPECT_TRUE(run.Finish().empty());
  // Users 0 and 2 are micro-batch 0, user 1 is micro-batch 1; they take turns.
  const std::vector<Numbers> expected{
      {4, 0, 1, 1 + 2 + 3 + 4, 4, 4},          // user 0: positions 0 to 3
      {4, 0, 1, 1 + 2 + 3 + 4, 4, 4},          // user 1 likewise
      {4, 1, 2, 5 + 6 + 1 + 2, 6, 6 + 2},      // user 0: 4, 5; the rest of the chunk is user 2's: 0, 1
      {2, 1, 1, 5 + 6, 6, 6},                  // user 1: 4, 5
      {5, 2, 2, 7 + 3 + 4 + 5 + 6, 7, 7 + 6},  // user 0 decodes at 6; user 2: 2 to 5
      {1, 1, 1, 7, 7, 7},                      // user 1 decodes at 6
      {2, 2, 2, 8 + 7, 8, 8 + 7},              // user 0 at 7, the last; user 2 at 6
      {1, 1, 1, 8, 8, 8},                      // user 1 at 7, the last
      {1, 1, 1, 8, 8, 8},                      // user 2 at 7, the last
  };
  EXPECT_EQ(run.loads(), expected);
  EXPECT_EQ(run.engine.stats().passes, 9);
}

TEST(Engine, SimulatedTokensHaveTimesAndNoValues) {
  EngineRun run({1}, nullptr, RowCost, FakeOptions(1, 4));
  const RequestId id = run.Add(FakeRequest(5, 3));
  EXPECT_TRUE(run.Finish().empty());
  // Chunks of 4 and 1 rows, then a row a pass: 140, 110, 110, 110.
  const RequestTimes& times = run.heard[id].life;
  EXPECT_EQ(times.token_times, (std::vector<Time>{Ps(250), Ps(360), Ps(470)}));
  EXPECT_EQ(run.heard[id].times, times.token_times);
  EXPECT_EQ(times.admitted, Ps(0));
  EXPECT_EQ(times.first_token, Ps(250));
  EXPECT_EQ(times.finished, Ps(470));
  EXPECT_EQ(times.prompt_tokens, 5);
  EXPECT_EQ(times.generated, 3);
  EXPECT_TRUE(run.heard[id].ids.empty());
  EXPECT_EQ(run.heard[id].finish, FinishReason::kLength);
  EXPECT_EQ(run.heard[id].text(), "");
}

TEST(Engine, UsersAreDealtEvenlyAndALaterOneJoinsTheSmallestMicroBatch) {
  ListeningRun run({1}, FakeOptions(3, 64));
  for (int user = 0; user < 7; ++user) run.Add(FakeRequest(1, 4));
  ASSERT_TRUE(*run.engine.Step());
  EXPECT_EQ(run.listener.loads[0].rows, 3);
  EXPECT_EQ(run.listener.loads[1].rows, 2);
  // Two passes are inside a one-step chain; the third micro-batch is in line.
  ASSERT_TRUE(*run.engine.Step());
  EXPECT_EQ(run.listener.loads[2].rows, 2);
  run.Add(FakeRequest(1, 4));
  run.listener.loads.clear();
  EXPECT_TRUE(run.Finish().empty());
  // Of two micro-batches with two users, the first got the new one, who makes his fourth token alone.
  std::vector<int64_t> rows;
  for (const Load& load : run.listener.loads) rows.push_back(load.rows);
  EXPECT_EQ(rows, (std::vector<int64_t>{3, 3, 2, 3, 3, 2, 3, 3, 2, 1}));
}

TEST(Engine, FewerUsersThanMicroBatchesMakeAMicroBatchEach) {
  ListeningRun run({1, 1, 1}, FakeOptions(5, 64));
  for (int user = 0; user < 3; ++user) run.Add(FakeRequest(2, 1));
  EXPECT_TRUE(run.Finish().empty());
  EXPECT_EQ(run.loads(), (std::vector<Numbers>(3, {2, 1, 1, 3, 2, 2})));
}

// Micro-batches beyond the chain's credit wait in line and take their turns.
TEST(Engine, MoreMicroBatchesThanCreditAllAdvance) {
  EngineRun run({1}, nullptr, RowCost, FakeOptions(6, 64));
  std::vector<RequestId> ids;
  for (int user = 0; user < 6; ++user) ids.push_back(run.Add(FakeRequest(1, 10)));
  for (int step = 0; step < 30; ++step) ASSERT_TRUE(*run.engine.Step());
  for (RequestId id : ids) EXPECT_EQ(run.heard[id].events, 5);
}

TEST(Engine, RequestsWaitForPagesFirstComeFirstServed) {
  // 3 pages: user 0 takes 2 (65 positions), user 1 needs 2 and waits, and user 2, who needs 1, waits behind him.
  EngineRun run({1}, nullptr, RowCost, FakeOptions(2, 64, 3));
  const RequestId a = run.Add(FakeRequest(60, 5)), b = run.Add(FakeRequest(60, 5)), c = run.Add(FakeRequest(2, 2));
  ASSERT_TRUE(*run.engine.Step());
  EXPECT_EQ(run.engine.stats().free_pages, 1);
  EXPECT_TRUE(run.Finish().empty());
  const Time freed = run.heard[a].life.finished;
  EXPECT_GT(freed, Ps(0));
  EXPECT_EQ(run.heard[b].life.admitted, freed);
  EXPECT_EQ(run.heard[c].life.admitted, freed);
  EXPECT_EQ(run.heard[b].life.added, Ps(0));
  EXPECT_EQ(run.engine.stats().free_pages, 3);
}

TEST(Engine, CancelEndsAWaitingRequestAndOneInThePass) {
  EngineRun run({1}, nullptr, RowCost, FakeOptions(1, 64, 2));
  const RequestId a = run.Add(FakeRequest(60, 20)), b = run.Add(FakeRequest(60, 20));
  ASSERT_TRUE(*run.engine.Step());
  run.engine.Cancel(b);
  run.engine.Cancel(b);
  run.engine.Cancel(999);
  ASSERT_TRUE(*run.engine.Step());
  EXPECT_EQ(run.heard[b].finish, FinishReason::kCancelled);
  EXPECT_EQ(run.heard[b].events, 1);
  run.engine.Cancel(a);
  EXPECT_FALSE(*run.engine.Step());
  EXPECT_EQ(run.heard[a].finish, FinishReason::kCancelled);
  EXPECT_EQ(run.heard[a].life.generated, 2);
  EXPECT_EQ(run.engine.stats().free_pages, 2);
  run.engine.Cancel(a);
  EXPECT_FALSE(*run.engine.Step());
  EXPECT_EQ(run.heard[a].events, 3);
}

TEST(Engine, ARequestCancelledWhileItsPassIsInsideMakesNoFurtherToken) {
  // Two micro-batches in a chain of one step: while user 0's token is taken, user 1's pass is inside.
  EngineRun run({1}, nullptr, RowCost, FakeOptions(2, 64));
  const RequestId a = run.Add(FakeRequest(1, 5)), b = run.Add(FakeRequest(1, 5));
  ASSERT_TRUE(*run.engine.Step());
  run.engine.Cancel(b);
  ASSERT_TRUE(*run.engine.Step());
  EXPECT_EQ(run.heard[b].finish, FinishReason::kCancelled);
  EXPECT_EQ(run.heard[b].events, 1);
  EXPECT_TRUE(run.Finish().empty());
  EXPECT_EQ(run.heard[a].life.generated, 5);
  EXPECT_EQ(run.engine.stats().free_pages, 64);
}

TEST(Engine, SubmitSendsWhatIsReadyAndTakesNothing) {
  EngineRun run({1, 1}, nullptr, RowCost, FakeOptions(2, 64));
  const RequestId a = run.Add(FakeRequest(3, 2));
  ASSERT_TRUE(run.engine.Submit().ok());
  EXPECT_EQ(run.engine.stats().passes, 1);
  EXPECT_EQ(run.clock.Now(), Ps(0));
  const std::optional<Time> finish = run.appliance->NextFinish();
  ASSERT_TRUE(finish.has_value());
  EXPECT_EQ(*finish, Ps(260));  // two stages with three rows
  // Another arrives meanwhile, and its pass is on its way before the first is back.
  run.clock.AdvanceTo(Ps(100));
  const RequestId b = run.Add(FakeRequest(1, 1));
  ASSERT_TRUE(run.engine.Submit().ok());
  ASSERT_TRUE(run.engine.Submit().ok());  // nothing more to send
  EXPECT_EQ(run.engine.stats().passes, 2);
  EXPECT_TRUE(run.heard.empty());
  EXPECT_TRUE(run.Finish().empty());
  EXPECT_EQ(run.heard[a].life.first_token, Ps(260));
  EXPECT_EQ(run.heard[b].life.added, Ps(100));
  EXPECT_EQ(run.heard[b].life.admitted, Ps(100));
  EXPECT_EQ(run.heard[b].life.first_token, Ps(260 + 110));  // the second card was busy with the first until 260
}

TEST(Engine, ASinkMayAddAndCancelButNotStep) {
  EngineRun run({1}, nullptr, RowCost, FakeOptions(1, 64));
  RequestId second = 0, victim = 0;
  int tokens = 0;
  std::string step_error;
  const auto added = run.engine.Add(FakeRequest(1, 2), [&](const TokenEvent&) {
    if (++tokens == 1) {
      run.engine.Cancel(victim);
      const auto step = run.engine.Step();
      if (!step.ok()) step_error = step.error().message;
      EXPECT_FALSE(run.engine.Submit().ok());
    } else {
      second = run.Add(FakeRequest(1, 3));
    }
  });
  ASSERT_TRUE(added.ok());
  victim = run.Add(FakeRequest(1, 9));
  EXPECT_TRUE(run.Finish().empty());
  EXPECT_EQ(step_error, "Step was called from a sink");
  EXPECT_EQ(tokens, 2);
  EXPECT_EQ(run.heard[victim].finish, FinishReason::kCancelled);
  EXPECT_EQ(run.heard[second].life.generated, 3);
}

TEST(Engine, AFailedPassEndsItsRequestsAndNoOthers) {
  const auto alone = [&] {
    EngineRun run({1, 1}, std::make_shared<FakeLog>(), nullptr, FakeOptions(1));
    const RequestId id = run.Add(FakeRequest(6, 5, 1));
    EXPECT_TRUE(run.Finish().empty());
    return run.heard[id].ids;
  }();
  auto log = std::make_shared<FakeLog>();
  log->fail_pass = 4;  // passes alternate between the micro-batches
  EngineRun run({1, 1}, log, nullptr, FakeOptions(2));
  const RequestId a = run.Add(FakeRequest(6, 5, 0)), b = run.Add(FakeRequest(6, 5, 1));
  EXPECT_EQ(run.Finish(), (std::vector<std::string>{"stage 'stage 0': the card is gone"}));
  EXPECT_EQ(run.heard[a].finish, FinishReason::kError);
  EXPECT_EQ(run.heard[a].ids.size(), 1u);
  EXPECT_EQ(run.heard[b].finish, FinishReason::kLength);
  EXPECT_EQ(run.heard[b].ids, alone);
  EXPECT_EQ(run.engine.stats().free_pages, 64);
}

TEST(Engine, LogitsThatAreNoNumbersEndTheRequest) {
  auto log = std::make_shared<FakeLog>();
  log->nan_pass = 2;
  EngineRun run({1, 1}, log, nullptr, FakeOptions(1));
  const RequestId id = run.Add(FakeRequest(3, 5));
  const auto errors = run.Finish();
  ASSERT_EQ(errors.size(), 1u);
  EXPECT_NE(errors[0].find("request 1: none of the 50 logits at position 5"), std::string::npos);
  EXPECT_EQ(run.heard[id].finish, FinishReason::kError);
  EXPECT_EQ(run.heard[id].ids.size(), 2u);
  EXPECT_EQ(run.engine.stats().free_pages, 64);
}

TEST(Engine, LogitsOfAnotherVocabularyAreRefused) {
  EngineOptions options = FakeOptions(1);
  options.vocab = 49;
  EngineRun run({1, 1}, std::make_shared<FakeLog>(), nullptr, options);
  Request request;
  request.prompt = {1};
  request.max_tokens = 2;
  const RequestId id = run.Add(request);
  EXPECT_EQ(run.Finish(), (std::vector<std::string>{"pass 0 gave logits of 1 × 50, expected 1 × 49"}));
  EXPECT_EQ(run.heard[id].finish, FinishReason::kError);
}

TEST(Engine, AnApplianceThatRefusesPassesEndsTheRequests) {
  VirtualTimeline clock;
  auto appliance = *Appliance::Open(testing::FakePlacement({1}), testing::FakeCards(1, nullptr, RowCost), {}, clock);
  Engine engine(*appliance, nullptr, FakeOptions(1));
  FinishReason finish = FinishReason::kNone;
  ASSERT_TRUE(engine.Add(FakeRequest(3, 5), [&](const TokenEvent& event) { finish = event.finish; }).ok());
  const auto step = engine.Step();
  ASSERT_FALSE(step.ok());
  EXPECT_EQ(step.error().message, "a pass was submitted before the appliance was configured");
  EXPECT_EQ(finish, FinishReason::kError);
  EXPECT_EQ(engine.stats().free_pages, 64);
  EXPECT_FALSE(*engine.Step());
}

TEST(Engine, AddRefusesWhatCannotRun) {
  EngineOptions options = FakeOptions(1, 4, 2);
  options.max_positions = 100;
  EngineRun run({1}, std::make_shared<FakeLog>(), nullptr, options);
  const auto message = [&](Engine& engine, auto change) {
    Request request = FakeRequest(3, 5);
    change(request);
    const auto added = engine.Add(request, nullptr);
    return added.ok() ? std::string() : added.error().message;
  };
  const auto refused = [&](auto change) { return message(run.engine, change); };
  EXPECT_EQ(refused([](Request&) {}), "");
  EXPECT_EQ(refused([](Request& r) { r.prompt.clear(); }),
            "the prompt is empty: at least one token is needed to start from");
  EXPECT_EQ(refused([](Request& r) { r.max_tokens = 0; }), "0 tokens to generate, expected at least 1");
  EXPECT_EQ(refused([](Request& r) { r.max_tokens = 98; }),
            "a prompt of 3 tokens and 98 to generate exceed the 100 positions of the model");
  EXPECT_NE(refused([](Request& r) { r.max_tokens = std::numeric_limits<int64_t>::max(); }), "");
  EXPECT_EQ(refused([](Request& r) { r.prompt[2] = 50; }), "prompt token 2 has id 50, expected 0 to 49");
  EXPECT_EQ(refused([](Request& r) { r.prompt[0] = -1; }), "prompt token 0 has id -1, expected 0 to 49");
  EXPECT_NE(refused([](Request& r) { r.sampling.top_p = 2; }).find("top-p is 2"), std::string::npos);
  EXPECT_EQ(refused([](Request& r) { r.stop = {""}; }), "a stop text is empty");
  EXPECT_EQ(refused([](Request& r) { r.stop = {"a\x80"}; }), "the stop text 'a\\x80' is not UTF-8");
  EXPECT_EQ(refused([](Request& r) { r.stop = {"x"}; }), "stop texts need a tokenizer, this engine has none");

  EngineRun small({1}, std::make_shared<FakeLog>(), nullptr, FakeOptions(1, 4, 2));
  EXPECT_EQ(message(small.engine, [](Request& r) { r.max_tokens = 126; }),
            "a prompt of 3 tokens and 126 to generate need 3 KV pages, the store has 2");
  EXPECT_EQ(message(small.engine, [](Request& r) { r.max_tokens = 125; }), "");
  EngineRun no_chunk({1}, nullptr, RowCost, FakeOptions(1, 0));
  EXPECT_EQ(message(no_chunk.engine, [](Request&) {}), "a prefill chunk of 0 tokens, expected at least 1");
  EngineRun no_groups({1}, nullptr, RowCost, FakeOptions(0, 4));
  EXPECT_EQ(message(no_groups.engine, [](Request&) {}), "0 micro-batches, expected at least 1");
}

TEST(Engine, NothingToDoIsSaid) {
  EngineRun run({1}, nullptr, RowCost, FakeOptions(1));
  EXPECT_FALSE(*run.engine.Step());
  EXPECT_EQ(run.heard[7].life.generated, 0);
}

// The shape of the HPEC 2024 run: 28 users in 14 micro-batches over 14 layer cards and an output step of two. With
// costs of 1 a row at every step and no links, the chain is full in steady state, and a token of everyone takes 15
// steps of 2.
TEST(Engine, AFullChainMakesATokenOfEveryUserARound) {
  std::vector<int> ranks(15, 1);
  ranks.back() = 2;
  EngineRun run(
      ranks, nullptr, [](const Stage&, const Load& load) { return StageCost{.time = Ps(load.rows)}; },
      FakeOptions(14, 128, 28 * 32));
  std::vector<RequestId> ids;
  for (int user = 0; user < 28; ++user) ids.push_back(run.Add(FakeRequest(1024, 1024)));
  EXPECT_TRUE(run.Finish().empty());
  for (RequestId id : ids) {
    const RequestTimes& times = run.heard[id].life;
    ASSERT_EQ(times.generated, 1024);
    // 14 micro-batches do not fill 15 steps: each returns after its own transit of 15 × 2. (Towards the end, users
    // whose prompts were done first are gone, and the passes of the others are shorter.)
    for (size_t i = 512; i < 900; ++i) ASSERT_EQ(times.token_times[i] - times.token_times[i - 1], Ps(30));
  }
}

}  // namespace
}  // namespace lodestone
