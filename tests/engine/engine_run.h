// Runs an engine over fake cards and keeps what its sinks heard.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "appliance/fake_cards.h"
#include "engine/engine.h"

namespace lodestone::testing {

struct Heard {
  std::vector<int32_t> ids;
  std::vector<std::string> pieces;
  std::vector<Time> times;
  FinishReason finish = FinishReason::kNone;
  std::string error;
  RequestTimes life;  // of one that has ended
  int events = 0;

  std::string text() const {
    std::string all;
    for (const std::string& piece : pieces) all += piece;
    return all;
  }
};

struct EngineRun {
  // `log`: cards compute. `cost`: cards are timed.
  EngineRun(const std::vector<int>& ranks, std::shared_ptr<FakeLog> log, const CostFunction& cost,
            EngineOptions options, std::shared_ptr<const Tokenizer> tokenizer = nullptr, Links links = {})
      : appliance(OpenFake(FakePlacement(ranks), std::move(log), cost, clock, options.pages, links)),
        engine(*appliance, std::move(tokenizer), options) {}

  // A request that must be accepted; what it hears is in `heard`.
  RequestId Add(Request request) {
    auto id = engine.Add(std::move(request), [this](const TokenEvent& event) { Hear(event); });
    EXPECT_TRUE(id.ok()) << (id.ok() ? "" : id.error().message);
    return id.ok() ? *id : 0;
  }
  // Steps to the end; returns the messages of errors on the way.
  std::vector<std::string> Finish(int most = 1'000'000) {
    std::vector<std::string> errors;
    for (int step = 0; step < most; ++step) {
      const auto more = engine.Step();
      if (!more.ok()) {
        errors.push_back(more.error().message);
      } else if (!*more) {
        return errors;
      }
    }
    ADD_FAILURE() << "the engine did not come to an end";
    return errors;
  }

  std::map<RequestId, Heard> heard;                    // of choice 0
  std::map<std::pair<RequestId, int>, Heard> choices;  // of the others
  VirtualTimeline clock;
  std::unique_ptr<Appliance> appliance;
  Engine engine;

 private:
  void Hear(const TokenEvent& event) {
    Heard& h = event.choice == 0 ? heard[event.request] : choices[{event.request, event.choice}];
    EXPECT_EQ(h.finish, FinishReason::kNone) << "an event after the last";
    ++h.events;
    if (event.id) h.ids.push_back(*event.id);
    h.pieces.push_back(event.text);
    h.times.push_back(event.time);
    h.finish = event.finish;
    h.error = event.error;
    EXPECT_EQ(event.times != nullptr, event.finish != FinishReason::kNone);
    if (event.times != nullptr) h.life = *event.times;
  }
};

// Pages are reserved and not shared, unless a test asks for it: then the schedule follows from the lengths alone.
inline EngineOptions FakeOptions(int micro_batches = 1, int prefill_chunk = 4, int pages = 64) {
  return {.micro_batches = micro_batches,
          .prefill_chunk = prefill_chunk,
          .pages = pages,
          .max_positions = 1 << 20,
          .vocab = kFakeVocab,
          .prefix_sharing = false,
          .reserve_pages = true};
}

// A prompt whose ids depend on `salt`.
inline Request FakeRequest(int prompt_tokens, int64_t max_tokens, uint32_t salt = 0) {
  Request request;
  for (int i = 0; i < prompt_tokens; ++i) {
    request.prompt.push_back(static_cast<int32_t>(Hash24(salt, static_cast<uint64_t>(i)) % kFakeVocab));
  }
  request.max_tokens = max_tokens;
  return request;
}

inline StageCost RowCost(const Stage&, const Load& load) { return {.time = Ps(100 + 10 * load.rows)}; }

}  // namespace lodestone::testing
