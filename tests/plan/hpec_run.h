// The run of HPEC 2024 as a closed recurrence: granite-3b-14l in w4a4, 28 users in 14 groups of two, 1,024 prompt and
// 1,024 generated tokens each, on northpole-16. Written apart from the appliance and the engine, so that one checks the
// other.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include "plan/placement.h"
#include "timing/northpole.h"

namespace lodestone::testing {

struct HpecRun {
  Time prompt;  // until the last user has his first token
  Time total;
  Energy dynamic, links;  // of all cards
  int cards = 0;
  double tokens_per_s() const { return 28.0 * 1024 / total.seconds(); }
  // Average of a card over the run.
  double watts(double static_power_w) const {
    return static_power_w + (dynamic.joules() + links.joules()) / total.seconds() / cards;
  }
};

// A chain of cards, each with one outgoing link; the last step may have several ranks.
class HpecChain {
 public:
  HpecChain(const ApplianceSpec& spec, std::vector<std::unique_ptr<StageTiming>> stages, int last_ranks)
      : spec_(spec), stages_(std::move(stages)), ranks_(static_cast<size_t>(last_ranks)) {
    card_free_.resize(stages_.size());
    link_free_.resize(stages_.size());
  }

  Time Send(Time now, const Load& load) {
    const size_t body = stages_.size() - ranks_;
    std::vector<StageCost> costs;
    for (const auto& stage : stages_) {
      costs.push_back(stage->Evaluate(load));
      dynamic += costs.back().energy.total();
      link_bytes += costs.back().input_bytes + costs.back().output_bytes;
    }
    Time arrived = Transfer(now, costs[0].input_bytes, host_link_free_);
    Time back;
    for (size_t i = 0; i < body; ++i) {
      const Time done = Compute(i, arrived, costs[i]);
      for (size_t next = i + 1; next < (i + 1 < body ? i + 2 : stages_.size()); ++next) {
        arrived = Transfer(done, costs[next].input_bytes, link_free_[i]);
        if (next < body) continue;
        const Time output = Compute(next, arrived, costs[next]);
        back = std::max(back, Transfer(output, costs[next].output_bytes, link_free_[next]));
      }
    }
    return back + Time::Seconds(spec_.host_turnaround_s.value);
  }

  // Of all passes so far. A byte between two cards leaves one and enters the other.
  Energy dynamic;
  int64_t link_bytes = 0;

 private:
  Time Compute(size_t card, Time arrived, const StageCost& cost) {
    card_free_[card] = std::max(arrived, card_free_[card]) + cost.time;
    return card_free_[card];
  }
  Time Transfer(Time ready, int64_t bytes, Time& link_free) {
    link_free =
        std::max(ready, link_free) + Time::Seconds(static_cast<double>(bytes) / spec_.card.link_bytes_per_s.value);
    return link_free + Time::Seconds(spec_.card.link_latency_s.value);
  }

  const ApplianceSpec& spec_;
  std::vector<std::unique_ptr<StageTiming>> stages_;
  size_t ranks_;
  std::vector<Time> card_free_, link_free_;
  Time host_link_free_;
};

// Two users who share their passes: a row for each who generates, and up to 128 prompt tokens of the other.
struct HpecGroup {
  static constexpr int kPrompt = 1024, kTokens = 1024, kChunk = 128;
  struct User {
    int prompt_done = 0, generated = 0;
  };
  std::array<User, 2> users;
  std::array<int, 2> rows{};  // of the pass under way
  Time back;                  // when that pass is at the host again

  bool done() const { return users[0].generated == kTokens && users[1].generated == kTokens; }

  Load NextPass() {
    Load load;
    int room = kChunk;
    for (size_t u = 0; u < 2; ++u) {
      const User& user = users[u];
      rows[u] = 0;
      if (user.generated == kTokens) continue;
      const bool prefill = user.prompt_done < kPrompt;
      rows[u] = prefill ? std::min(room, kPrompt - user.prompt_done) : 1;
      if (rows[u] == 0) continue;
      if (prefill) room -= rows[u];
      const int64_t before = prefill ? user.prompt_done : kPrompt + user.generated - 1;
      load.rows += rows[u];
      load.logit_rows += !prefill || user.prompt_done + rows[u] == kPrompt ? 1 : 0;
      load.sequences += 1;
      for (int row = 1; row <= rows[u]; ++row) load.context_sum += before + row;
      load.context_max = std::max(load.context_max, before + rows[u]);
      load.kv_tokens_read += before + rows[u];
    }
    return load;
  }

  void Return() {
    for (size_t u = 0; u < 2; ++u) {
      User& user = users[u];
      if (rows[u] == 0) continue;
      if (user.prompt_done < kPrompt) {
        user.prompt_done += rows[u];
        user.generated = user.prompt_done == kPrompt ? 1 : 0;
      } else {
        ++user.generated;
      }
    }
  }
  bool prompts_done() const { return users[0].generated > 0 && users[1].generated > 0; }
};

inline Result<HpecRun> RunHpec(const ApplianceSpec& spec, Fidelity fidelity) {
  LODESTONE_ASSIGN_OR_RETURN(const ModelConfig config, LoadModelConfig("granite-3b-14l"));
  LODESTONE_ASSIGN_OR_RETURN(const Recipe recipe, ParseRecipe("w4a4"));
  LODESTONE_ASSIGN_OR_RETURN(
      const Placement placement,
      Place(config, recipe, spec, {.users = 28, .context = 2048, .rows_per_pass = 129, .decode_rows = 2}));
  const std::unique_ptr<Timing> timing = MakeNorthPoleTiming(spec.card.chip, fidelity);
  std::vector<std::unique_ptr<StageTiming>> stages;
  for (const PlacedStage& placed : placement.stages) {
    LODESTONE_ASSIGN_OR_RETURN(std::unique_ptr<StageTiming> stage,
                               timing->Map(placed.stage, MapDemandOf(placement.demand)));
    stages.push_back(std::move(stage));
  }
  HpecChain chain(spec, std::move(stages), placement.stages.back().stage.of);
  std::vector<HpecGroup> groups(14);
  for (HpecGroup& group : groups) group.back = chain.Send(Time{}, group.NextPass());
  HpecRun run;
  // A first-in first-out chain gives passes back in the order of submission, so the groups take turns.
  for (bool busy = true; busy;) {
    busy = false;
    for (HpecGroup& group : groups) {
      if (group.done()) continue;
      const bool before = group.prompts_done();
      group.Return();
      if (!before && group.prompts_done()) run.prompt = std::max(run.prompt, group.back);
      run.total = std::max(run.total, group.back);
      if (group.done()) continue;
      group.back = chain.Send(group.back, group.NextPass());
      busy = true;
    }
  }
  run.dynamic = chain.dynamic;
  run.links = Energy::Joules(static_cast<double>(chain.link_bytes) * spec.card.link_byte_pj.value * 1e-12);
  run.cards = placement.cards_used;
  return run;
}

}  // namespace lodestone::testing
