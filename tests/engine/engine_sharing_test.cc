// Pages that several sequences hold: prompts that begin alike, and the choices of one request.
#include <gtest/gtest.h>

#include "engine/engine_run.h"

namespace lodestone {
namespace {

using testing::EngineRun;
using testing::FakeLog;
using testing::FakeOptions;
using testing::FakeRequest;

EngineOptions Sharing(int pages = 64) {
  EngineOptions options = FakeOptions(1, 64, pages);
  options.prefix_sharing = true;
  options.reserve_pages = false;
  return options;
}

// What a request hears with nobody before or beside it.
testing::Heard Alone(const Request& request) {
  EngineRun run({1, 1}, std::make_shared<FakeLog>(), nullptr, FakeOptions(1, 1000));
  const RequestId id = run.Add(request);
  EXPECT_TRUE(run.Finish().empty());
  return run.heard[id];
}

int64_t RowsComputed(const FakeLog& log) {
  int64_t rows = 0;
  for (const Load& load : log.loads) rows += load.rows;
  return rows;
}

TEST(EngineSharing, APromptThatBeginsLikeAnEarlierOneSkipsItsFullPages) {
  auto log = std::make_shared<FakeLog>();
  EngineRun run({1, 1}, log, nullptr, Sharing());
  const Request first = FakeRequest(150, 3), longer = FakeRequest(200, 3), other = FakeRequest(150, 3, 1);
  run.Add(first);
  EXPECT_TRUE(run.Finish().empty());
  EXPECT_EQ(run.engine.stats().idle_pages, 2);
  EXPECT_EQ(RowsComputed(*log), 150 + 2);
  log->loads.clear();
  const RequestId again = run.Add(longer);
  EXPECT_TRUE(run.Finish().empty());
  EXPECT_EQ(run.heard[again].life.cached_tokens, 128);
  EXPECT_EQ(run.heard[again].ids, Alone(longer).ids);
  EXPECT_EQ(RowsComputed(*log), 200 - 128 + 2);
  const RequestId unlike = run.Add(other);
  EXPECT_TRUE(run.Finish().empty());
  EXPECT_EQ(run.heard[unlike].life.cached_tokens, 0);
  EXPECT_EQ(run.heard[unlike].ids, Alone(other).ids);
  EXPECT_EQ(run.engine.stats().free_pages, 64);
}

// The logits of the last prompt token are wanted, so at least that is computed.
TEST(EngineSharing, TheLastTokenOfAPromptIsAlwaysComputed) {
  EngineRun run({1, 1}, std::make_shared<FakeLog>(), nullptr, Sharing());
  const Request request = FakeRequest(128, 3);
  run.Add(request);
  EXPECT_TRUE(run.Finish().empty());
  const RequestId again = run.Add(request);
  EXPECT_TRUE(run.Finish().empty());
  EXPECT_EQ(run.heard[again].life.cached_tokens, 64);
  EXPECT_EQ(run.heard[again].ids, Alone(request).ids);
}

// A conversation: the next prompt holds the last answer.
TEST(EngineSharing, GeneratedPagesAreKnownToo) {
  EngineRun run({1, 1}, std::make_shared<FakeLog>(), nullptr, Sharing());
  Request turn = FakeRequest(40, 100);
  const RequestId first = run.Add(turn);
  EXPECT_TRUE(run.Finish().empty());
  turn.prompt.insert(turn.prompt.end(), run.heard[first].ids.begin(), run.heard[first].ids.end());
  const RequestId second = run.Add(turn);
  EXPECT_TRUE(run.Finish().empty());
  EXPECT_EQ(run.heard[second].life.cached_tokens, 128);  // of 140; 139 were computed
  EXPECT_EQ(run.heard[second].ids, Alone(turn).ids);
}

// Those who arrive together: the second finds the pages that the first has filled by the time he needs them.
TEST(EngineSharing, UsersWhoArriveTogetherComputeACommonPromptOnce) {
  auto log = std::make_shared<FakeLog>();
  EngineRun run({1, 1}, log, nullptr, Sharing());
  std::vector<RequestId> ids;
  for (int user = 0; user < 4; ++user) ids.push_back(run.Add(FakeRequest(300, 2)));
  EXPECT_TRUE(run.Finish().empty());
  EXPECT_EQ(RowsComputed(*log), 300 + 3 * (300 - 256) + 4);
  const testing::Heard alone = Alone(FakeRequest(300, 2));
  for (RequestId id : ids) EXPECT_EQ(run.heard[id].ids, alone.ids);
  EXPECT_EQ(run.heard[ids[0]].life.cached_tokens, 0);
  EXPECT_EQ(run.heard[ids[3]].life.cached_tokens, 256);
  EXPECT_EQ(run.engine.stats().idle_pages, 4);
}

TEST(EngineSharing, PagesOfAFailedPassAreNotUsedAgain) {
  auto log = std::make_shared<FakeLog>();
  log->fail_pass = 1;
  EngineRun run({1, 1}, log, nullptr, Sharing());
  const Request request = FakeRequest(200, 3);
  const RequestId failed = run.Add(request);
  EXPECT_EQ(run.Finish().size(), 1u);
  EXPECT_EQ(run.heard[failed].error, "stage 'stage 0': the card is gone");
  EXPECT_EQ(run.engine.stats().idle_pages, 1);  // pass 0 filled it
  const RequestId again = run.Add(request);
  EXPECT_TRUE(run.Finish().empty());
  EXPECT_EQ(run.heard[again].life.cached_tokens, 64);
  EXPECT_EQ(run.heard[again].ids, Alone(request).ids);
}

TEST(EngineSharing, KnownPagesGiveWayToUsers) {
  EngineRun run({1, 1}, std::make_shared<FakeLog>(), nullptr, Sharing(4));
  const Request a = FakeRequest(190, 5, 1), b = FakeRequest(190, 5, 2);
  for (const Request* request : {&a, &b, &a, &b, &b}) {
    const RequestId id = run.Add(*request);
    EXPECT_TRUE(run.Finish().empty());
    EXPECT_EQ(run.heard[id].ids, Alone(*request).ids);
    EXPECT_EQ(run.engine.stats().free_pages, 4);
  }
}

TEST(EngineSharing, CanBeTurnedOff) {
  EngineOptions options = Sharing();
  options.prefix_sharing = false;
  EngineRun run({1, 1}, std::make_shared<FakeLog>(), nullptr, options);
  for (int turn = 0; turn < 2; ++turn) {
    const RequestId id = run.Add(FakeRequest(200, 3));
    EXPECT_TRUE(run.Finish().empty());
    EXPECT_EQ(run.heard[id].life.cached_tokens, 0);
    EXPECT_EQ(run.engine.stats().idle_pages, 0);
  }
}

Request Warm(int prompt_tokens, int64_t max_tokens, int n) {
  Request request = FakeRequest(prompt_tokens, max_tokens);
  request.sampling = {.temperature = 1, .seed = 3};
  request.sampling_key = 11;
  request.n = n;
  return request;
}

TEST(EngineChoices, ShareThePromptAndPartAfterIt) {
  for (int prompt : {1, 63, 64, 65, 130}) {
    auto log = std::make_shared<FakeLog>();
    EngineRun run({1, 1}, log, nullptr, Sharing());
    const RequestId id = run.Add(Warm(prompt, 80, 3));
    EXPECT_TRUE(run.Finish().empty());
    EXPECT_EQ(RowsComputed(*log), prompt + 3 * 79);
    std::vector<std::vector<int32_t>> heard{run.heard[id].ids, run.choices[{id, 1}].ids, run.choices[{id, 2}].ids};
    for (int choice = 0; choice < 3; ++choice) {
      Request alone = Warm(prompt, 80, 1);
      alone.sampling_key = ChoiceKey(alone.sampling_key, choice);
      EXPECT_EQ(heard[static_cast<size_t>(choice)], Alone(alone).ids) << prompt << " tokens, choice " << choice;
    }
    EXPECT_NE(heard[0], heard[1]);
    EXPECT_NE(heard[1], heard[2]);
    EXPECT_EQ(ChoiceKey(11, 0), 11u);
    EXPECT_EQ(run.engine.stats().free_pages, 64);
    EXPECT_EQ(run.engine.stats().requests, 0);
  }
}

TEST(EngineChoices, EndOneByOneOrTogether) {
  EngineRun run({1, 1}, std::make_shared<FakeLog>(), nullptr, Sharing());
  const auto finishes = [&](RequestId id) {
    return std::vector<FinishReason>{run.heard[id].finish, run.choices[{id, 1}].finish, run.choices[{id, 2}].finish};
  };
  const auto all = [](FinishReason reason) { return std::vector<FinishReason>(3, reason); };
  // Before the prompt has been computed.
  const RequestId early = run.Add(Warm(130, 9, 3));
  run.engine.Cancel(early);
  EXPECT_FALSE(*run.engine.Step());
  EXPECT_EQ(finishes(early), all(FinishReason::kCancelled));
  // While the prompt is in the cards.
  const RequestId chunked = run.Add(Warm(130, 9, 3));
  ASSERT_TRUE(*run.engine.Step());
  run.engine.Cancel(chunked);
  EXPECT_FALSE(*run.engine.Step());
  EXPECT_EQ(finishes(chunked), all(FinishReason::kCancelled));
  // After some tokens.
  const RequestId late = run.Add(Warm(20, 9, 3));
  for (int step = 0; step < 4; ++step) ASSERT_TRUE(*run.engine.Step());
  run.engine.Cancel(late);
  EXPECT_FALSE(*run.engine.Step());
  EXPECT_EQ(finishes(late), all(FinishReason::kCancelled));
  EXPECT_EQ((run.choices[{late, 2}].ids.size()), 4u);
  // With the first token.
  const RequestId shortest = run.Add(Warm(20, 1, 3));
  EXPECT_TRUE(run.Finish().empty());
  EXPECT_EQ(finishes(shortest), all(FinishReason::kLength));
  EXPECT_EQ(run.engine.stats().free_pages, 64);
  EXPECT_EQ(run.engine.stats().requests, 0);
}

TEST(EngineChoices, AFailureEndsThoseItConcerns) {
  for (uint64_t pass : {0u, 1u, 3u}) {
    auto failing = std::make_shared<FakeLog>(), broken = std::make_shared<FakeLog>();
    failing->fail_pass = pass;
    broken->nan_pass = pass;
    for (const auto& log : {failing, broken}) {
      EngineRun run({1, 1}, log, nullptr, Sharing());
      const RequestId id = run.Add(Warm(100, 9, 3));
      const bool chunk_without_logits = log == broken && pass == 0;
      EXPECT_EQ(run.Finish().empty(), chunk_without_logits);
      const FinishReason expected = chunk_without_logits ? FinishReason::kLength : FinishReason::kError;
      for (const testing::Heard* heard : {&run.heard[id], &run.choices[{id, 1}], &run.choices[{id, 2}]}) {
        EXPECT_EQ(heard->finish, expected);
        EXPECT_EQ(heard->error.empty(), chunk_without_logits);
      }
      EXPECT_EQ(run.engine.stats().free_pages, 64);
      EXPECT_EQ(run.engine.stats().requests, 0);
    }
  }
}

TEST(EngineChoices, RefusesWhatCannotBe) {
  EngineOptions options = Sharing();
  options.max_users = 3;
  EngineRun few({1}, std::make_shared<FakeLog>(), nullptr, options);
  EXPECT_EQ(few.engine.Add(Warm(5, 5, 4), nullptr).status().error().message, "4 choices, expected 1 to 3");
  EXPECT_EQ(few.engine.Add(Warm(5, 5, 0), nullptr).status().error().message, "0 choices, expected 1 to 3");
  EngineRun reserved({1}, std::make_shared<FakeLog>(), nullptr, FakeOptions());
  EXPECT_EQ(reserved.engine.Add(Warm(5, 5, 2), nullptr).status().error().code, ErrorCode::kUnsupported);
}

TEST(EngineLogprobs, AreGivenIfAsked) {
  EngineRun run({1, 1}, std::make_shared<FakeLog>(), nullptr, Sharing());
  Request request = FakeRequest(5, 3);
  request.logprobs = 2;
  std::vector<Logprobs> heard;
  const auto sink = [&](const TokenEvent& event) {
    ASSERT_TRUE(event.logprobs && event.id);
    heard.push_back(*event.logprobs);
    EXPECT_EQ(event.logprobs->top[0].id, *event.id);  // greedy
  };
  ASSERT_TRUE(run.engine.Add(request, sink).ok());
  EXPECT_TRUE(run.Finish().empty());
  ASSERT_EQ(heard.size(), 3u);
  for (const Logprobs& logprobs : heard) {
    EXPECT_EQ(logprobs.top.size(), 2u);
    EXPECT_EQ(logprobs.chosen, logprobs.top[0].logprob);
    EXPECT_LT(logprobs.chosen, 0);
  }
  request.logprobs = 51;
  EXPECT_EQ(run.engine.Add(request, nullptr).status().error().message,
            "logprobs of 51 tokens, expected 0 to 50, or -1 for none");
}

}  // namespace
}  // namespace lodestone
