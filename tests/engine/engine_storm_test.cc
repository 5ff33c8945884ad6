// A thousand requests through the engine as a server uses it, over a model that computes: they join and leave at any
// time, share prompts and pages, give way, are cancelled, and passes fail. Whoever survives has the tokens that he gets
// alone.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <optional>
#include <random>

#include "engine/engine.h"
#include "executor/executor.h"
#include "hash_weights.h"
#include "host/thread_pool.h"
#include "test_models.h"

namespace lodestone {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr int kRequests = 120, kThreads = 2;
#else
constexpr int kRequests = 1000, kThreads = 1;  // the model is too small to share
#endif

// The CPU executor, whose passes fail by chance.
class Flaky final : public Executor {
 public:
  Flaky(std::unique_ptr<Executor> inner, int one_in) : inner_(std::move(inner)), one_in_(one_in) {}
  Status Configure(std::span<const Stage> stages, const WeightSource& weights, int pages) override {
    return inner_->Configure(stages, weights, pages);
  }
  Result<Tensor> Run(int stage, int section, const Pass& pass, Tensor in) override {
    if (one_in_ > 0 && random_() % static_cast<uint32_t>(one_in_) == 0) return IoError("a fault by chance");
    return inner_->Run(stage, section, pass, std::move(in));
  }
  int Sections(int stage) const override { return inner_->Sections(stage); }
  std::string Describe() const override { return inner_->Describe(); }
  int64_t ResidentBytes() const override { return inner_->ResidentBytes(); }

 private:
  std::unique_ptr<Executor> inner_;
  int one_in_;
  std::mt19937 random_{1};
};

// An engine on a tiny model. `one_in`: of so many passes, one fails.
struct Host {
  Host(EngineOptions options, int one_in) : threads(kThreads) {
    const ModelConfig config = testing::TinyLlama();
    Placement placement = *PlaceOnHost(config, *ParseRecipe("w4a8"), {.users = 1, .context = 512}, int64_t{1} << 40);
    std::vector<Card> cards(1);
    cards[0].compute = std::make_unique<Flaky>(*MakeCpuExecutor(threads), one_in);
    appliance = *Appliance::Open(std::move(placement), std::move(cards), {}, clock);
    const testing::HashWeights weights(5);
    EXPECT_TRUE(appliance->Configure(&weights, options.pages).ok());
    options.vocab = config.vocab;
    options.max_positions = config.max_positions;
    engine.emplace(*appliance, nullptr, options);
  }
  ThreadPool threads;
  VirtualTimeline clock;
  std::unique_ptr<Appliance> appliance;
  std::optional<Engine> engine;
};

struct Outcome {
  std::vector<int32_t> ids;
  FinishReason finish = FinishReason::kNone;
  RequestTimes life;
};

class Storm {
 public:
  explicit Storm(uint32_t seed) : random_(seed) {}

  int Pick(int low, int high) { return std::uniform_int_distribution<int>(low, high)(random_); }

  // One of a few beginnings, then tokens of its own.
  Request Draw(uint64_t key) {
    Request request;
    const int beginning = Pick(0, 3), common = beginning == 0 ? 0 : 40 * beginning + 30;
    for (int i = 0; i < common; ++i) request.prompt.push_back((i * 7 + beginning * 13) % 50);
    for (int i = Pick(1, 40); i > 0; --i) request.prompt.push_back(Pick(0, 49));
    request.max_tokens = Pick(0, 6) == 0 ? Pick(60, 130) : Pick(1, 20);
    request.sampling_key = key;
    if (Pick(0, 1)) {
      request.sampling = {.temperature = 0.9, .top_k = Pick(0, 1) * 20, .top_p = 0.95, .frequency_penalty = 0.1};
    }
    if (Pick(0, 3) == 0) request.eos_ids = {Pick(0, 49)};
    if (Pick(0, 7) == 0) request.n = Pick(2, 4);
    return request;
  }

 private:
  std::mt19937 random_;
};

TEST(EngineStorm, WhoeverSurvivesHasTheTokensThatHeGetsAlone) {
  Storm storm(17);
  EngineOptions options{.micro_batches = 3, .prefill_chunk = 50, .pages = 11, .max_users = 12, .max_waiting = 40};
  Host host(options, 150);
  Engine& engine = *host.engine;
  std::vector<Request> requests;
  std::map<std::pair<int, int>, Outcome> outcomes;  // by request and choice
  std::vector<RequestId> ids;
  int busy = 0, faults = 0;
  for (bool more = true; more || static_cast<int>(requests.size()) < kRequests;) {
    while (static_cast<int>(requests.size()) < kRequests && storm.Pick(0, 2) > 0) {
      const int number = static_cast<int>(requests.size());
      Request request = storm.Draw(static_cast<uint64_t>(number));
      const auto added = engine.Add(request, [&outcomes, number](const TokenEvent& event) {
        Outcome& outcome = outcomes[{number, event.choice}];
        ASSERT_EQ(outcome.finish, FinishReason::kNone) << "an event after the last";
        if (event.id) outcome.ids.push_back(*event.id);
        outcome.finish = event.finish;
        if (event.times != nullptr) outcome.life = *event.times;
      });
      if (!added.ok()) {
        ASSERT_EQ(added.error().code, ErrorCode::kBusy) << added.error().message;
        ++busy;
        break;
      }
      ids.push_back(*added);
      requests.push_back(std::move(request));
    }
    if (!ids.empty() && storm.Pick(0, 15) == 0) {
      const int back = storm.Pick(1, std::min(30, static_cast<int>(ids.size())));
      engine.Cancel(ids[ids.size() - static_cast<size_t>(back)]);
    }
    const auto step = engine.Step();
    if (step.ok()) {
      more = *step;
    } else {
      more = true;
      ++faults;
    }
  }

  // Everything is back.
  const EngineStats stats = engine.stats();
  EXPECT_EQ(stats.free_pages, options.pages);
  EXPECT_EQ(stats.requests, 0);
  EXPECT_EQ(stats.running, 0);
  EXPECT_EQ(stats.waiting, 0);

  // One user at a time, nothing shared, a pass for every prompt and every token.
  Host quiet({.micro_batches = 1, .prefill_chunk = 512, .pages = 8, .prefix_sharing = false}, 0);
  int survivors = 0, cancelled = 0, failed = 0;
  int64_t cached = 0, preempted = 0;
  for (const auto& [key, outcome] : outcomes) {
    const auto [number, choice] = key;
    cached += outcome.life.cached_tokens;
    preempted += outcome.life.preemptions > 0 ? 1 : 0;
    cancelled += outcome.finish == FinishReason::kCancelled ? 1 : 0;
    failed += outcome.finish == FinishReason::kError ? 1 : 0;
    ASSERT_NE(outcome.finish, FinishReason::kNone) << "request " << number;
    Request request = requests[static_cast<size_t>(number)];
    request.n = 1;
    request.sampling_key = ChoiceKey(request.sampling_key, choice);
    // What was cut short is a beginning of what it would have become.
    const bool survived = outcome.finish == FinishReason::kStop || outcome.finish == FinishReason::kLength;
    survivors += survived ? 1 : 0;
    if (!survived && outcome.ids.empty()) continue;
    if (!survived) request.max_tokens = static_cast<int64_t>(outcome.ids.size());
    Outcome alone;
    ASSERT_TRUE(quiet.engine
                    ->Add(request,
                          [&](const TokenEvent& event) {
                            alone.ids.push_back(*event.id);
                            alone.finish = event.finish;
                          })
                    .ok());
    while (*quiet.engine->Step()) {
    }
    ASSERT_EQ(outcome.ids, alone.ids) << "request " << number << ", choice " << choice;
    if (survived) EXPECT_EQ(outcome.finish, alone.finish);
  }
  // The storm was one.
  EXPECT_GT(survivors, kRequests / 2);
  EXPECT_GT(cancelled, kRequests / 50);
  EXPECT_GT(failed, kRequests / 50);
  EXPECT_GT(cached, kRequests * 10);
  EXPECT_GT(preempted, kRequests / 200);
  EXPECT_GT(faults, 0);
  EXPECT_GT(busy, 0);
}

}  // namespace
}  // namespace lodestone
