// Cards for tests: an executor whose outputs are hashes of everything that a row may depend on, and a timing of given
// costs.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "appliance/appliance.h"

namespace lodestone::testing {

constexpr int kFakeVocab = 50;

// A hash of 24 bits: a float holds it exactly.
inline uint32_t Hash24(uint64_t a, uint64_t b) {
  uint64_t x = a * 0x9e3779b97f4a7c15u ^ (b + 0x7f4a7c159e3779b9u);
  x = (x ^ (x >> 31)) * 0xd6e8feb86659fd93u;
  x = (x ^ (x >> 29)) * 0xbf58476d1ce4e5b9u;
  return static_cast<uint32_t>(x >> 40);
}

class NoWeights final : public WeightSource {
 public:
  Status ReadRow(const WeightId&, int64_t, std::span<float>) const override { return NotFound("no weights"); }
  std::string Describe() const override { return "none"; }
};

// What the tests share with the executors that an appliance owns.
struct FakeLog {
  std::vector<Load> loads;            // of passes, as the first stage saw them
  std::optional<uint64_t> fail_pass;  // this pass is refused
  std::optional<uint64_t> nan_pass;   // the logits of this pass are no numbers
  std::optional<int> fail_configure;  // this many cards can be configured
  std::function<void()> on_run;       // a card's work takes time
};

// A row's stream is a hash of all that its sequence stored up to it, read back through the page table; so a wrong page,
// a missing row, a wrong position or order changes every token after it. KV starts as noise. A stage that is one of
// several ranks has two sections: it stores the gathered hashes of all ranks.
class HashExecutor final : public Executor {
 public:
  explicit HashExecutor(std::shared_ptr<FakeLog> log) : log_(std::move(log)) {}

  Status Configure(std::span<const Stage> stages, const WeightSource&, int pages) override {
    if (log_->fail_configure && (*log_->fail_configure)-- == 0) return Infeasible("the card is full");
    stages_.assign(stages.begin(), stages.end());
    pages_ = pages;
    kv_.assign(stages_.size(), std::vector<uint32_t>(static_cast<size_t>(pages) * 64));
    for (auto& kv : kv_) {
      for (size_t i = 0; i < kv.size(); ++i) kv[i] = Hash24(i, 77);
    }
    return {};
  }
  int Sections(int stage) const override {
    const Stage& s = stages_[static_cast<size_t>(stage)];
    return s.of > 1 && !s.has_output ? 2 : 1;
  }
  std::string Describe() const override { return "hashes"; }
  int64_t ResidentBytes() const override { return 0; }

  Result<Tensor> Run(int stage, int section, const Pass& pass, Tensor in) override {
    const Stage& s = stages_[static_cast<size_t>(stage)];
    if (s.has_embedding && section == 0 && s.rank == 0) log_->loads.push_back(LoadOf(pass.rows));
    if (log_->on_run) log_->on_run();
    if (log_->fail_pass == pass.id) return IoError("the card is gone");
    if (s.has_output) {
      if (s.has_embedding) {
        LODESTONE_ASSIGN_OR_RETURN(in, Stream(stage, pass, in, 1));
      }
      return Logits(s, pass, in);
    }
    if (s.of == 1) return Stream(stage, pass, in, 1);
    if (section == 0) return Part(s, pass, in);
    return Stream(stage, pass, in, s.of);
  }

 private:
  uint64_t Input(const Stage& s, const Pass& pass, const Tensor& in, size_t row, int width) const {
    if (s.has_embedding && width == 1) return static_cast<uint64_t>(pass.rows[row].token);
    uint64_t value = 0;
    for (int c = 0; c < width; ++c) {
      value = Hash24(value, static_cast<uint64_t>(in.data[row * static_cast<size_t>(width) + static_cast<size_t>(c)]));
    }
    return value;
  }

  Result<Tensor> Part(const Stage& s, const Pass& pass, const Tensor& in) const {
    Tensor out{static_cast<int>(pass.rows.size()), 1, {}};
    for (size_t r = 0; r < pass.rows.size(); ++r) {
      out.data.push_back(static_cast<float>(Hash24(Input(s, pass, in, r, 1), static_cast<uint64_t>(s.rank) + 100)));
    }
    return out;
  }

  Result<Tensor> Stream(int stage, const Pass& pass, const Tensor& in, int width) {
    auto& kv = kv_[static_cast<size_t>(stage)];
    for (const PageCopy& copy : pass.page_copies) {
      const auto page = [](int32_t id) { return static_cast<std::ptrdiff_t>(id) * 64; };
      std::copy_n(kv.begin() + page(copy.from), 64, kv.begin() + page(copy.to));
    }
    Tensor out{static_cast<int>(pass.rows.size()), 1, {}};
    for (size_t r = 0; r < pass.rows.size(); ++r) {
      const Row& row = pass.rows[r];
      const auto slot = [&](int position) -> Result<size_t> {
        const int page_index = position / 64;
        const size_t entry = static_cast<size_t>(row.sequence) * static_cast<size_t>(pass.pages_per_sequence) +
                             static_cast<size_t>(page_index);
        if (page_index >= pass.pages_per_sequence || entry >= pass.page_table.size())
          return Invalid("no such page entry");
        const int32_t page = pass.page_table[entry];
        if (page < 0 || page >= pages_) return Invalid("no such page");
        return static_cast<size_t>(page) * 64 + static_cast<size_t>(position % 64);
      };
      LODESTONE_ASSIGN_OR_RETURN(const size_t own, slot(row.position));
      kv[own] =
          Hash24(Input(stages_[static_cast<size_t>(stage)], pass, in, r, width), static_cast<uint64_t>(row.position));
      uint32_t hash = 1;
      for (int p = 0; p <= row.position; ++p) {
        LODESTONE_ASSIGN_OR_RETURN(const size_t read, slot(p));
        hash = Hash24(hash, kv[read]);
      }
      out.data.push_back(static_cast<float>(hash));
    }
    return out;
  }

  Result<Tensor> Logits(const Stage& s, const Pass& pass, const Tensor& in) const {
    const int begin = kFakeVocab * s.rank / s.of, end = kFakeVocab * (s.rank + 1) / s.of;
    Tensor out{0, end - begin, {}};
    for (size_t r = 0; r < pass.rows.size(); ++r) {
      if (!pass.rows[r].wants_logits) continue;
      ++out.rows;
      for (int v = begin; v < end; ++v) {
        const uint32_t hash = Hash24(static_cast<uint64_t>(in.data[r]), static_cast<uint64_t>(v));
        const bool nan = log_->nan_pass == pass.id;
        out.data.push_back(nan ? std::numeric_limits<float>::quiet_NaN() : static_cast<float>(hash % 4096) / 512);
      }
    }
    return out;
  }

  std::shared_ptr<FakeLog> log_;
  std::vector<Stage> stages_;
  int pages_ = 0;
  std::vector<std::vector<uint32_t>> kv_;
};

using CostFunction = std::function<StageCost(const Stage&, const Load&)>;

class FakeTiming final : public Timing {
 public:
  explicit FakeTiming(CostFunction cost) : cost_(std::move(cost)) {}
  Result<std::unique_ptr<StageTiming>> Map(const Stage& stage, const MapDemand&) const override {
    return std::unique_ptr<StageTiming>(new Mapped(stage, cost_));
  }

 private:
  class Mapped final : public StageTiming {
   public:
    Mapped(Stage stage, CostFunction cost) : stage_(std::move(stage)), cost_(std::move(cost)) {}
    const StageCost& Evaluate(const Load& load) override { return last_ = cost_(stage_, load); }
    std::vector<OperatorCost> Explain(const Load& load) const override {
      return {{.op = "all", .count = 1, .time = cost_(stage_, load).time}};
    }

    StageMapping Mapping() const override { return {}; }

   private:
    Stage stage_;
    StageCost last_;
    CostFunction cost_;
  };
  CostFunction cost_;
};

// Keeps the loads of the passes that enter a simulated chain.
class LoadListener final : public FlowObserver {
 public:
  void Computes(int stage, uint64_t, const Load& load, int section, Time, Time) override {
    if (stage == 0 && section == 0) loads.push_back(load);
  }
  void Moves(int, int, uint64_t, int64_t, Time, Time) override {}
  void Stalls(int, uint64_t, Time, Time) override {}
  void HostWorks(uint64_t, Time, Time) override {}
  void Holds(int, Time, int64_t) override {}
  std::vector<Load> loads;
};

// A stage a step; `ranks[k]` stages side by side at step k, each on a card of its own.
inline Placement FakePlacement(const std::vector<int>& ranks) {
  Placement placement;
  int card = 0;
  for (size_t k = 0; k < ranks.size(); ++k) {
    for (int rank = 0; rank < ranks[k]; ++rank) {
      PlacedStage placed;
      placed.stage.label =
          ranks[k] == 1 ? fmt::format("stage {}", k) : fmt::format("stage {} {}/{}", k, rank + 1, ranks[k]);
      placed.stage.rank = rank;
      placed.stage.of = ranks[k];
      placed.stage.has_embedding = k == 0;
      placed.stage.has_output = k + 1 == ranks.size();
      placed.kind = placed.card = card++;
      placement.stages.push_back(std::move(placed));
    }
  }
  placement.cards = placement.cards_used = card;
  return placement;
}

inline int UsedCards(const Placement& placement) {
  std::vector<int> used;
  for (const PlacedStage& placed : placement.stages) used.push_back(placed.card);
  std::sort(used.begin(), used.end());
  return static_cast<int>(std::unique(used.begin(), used.end()) - used.begin());
}

// `log`: cards compute. `cost`: cards are timed.
inline std::vector<Card> FakeCards(int count, std::shared_ptr<FakeLog> log, const CostFunction& cost) {
  std::vector<Card> cards(static_cast<size_t>(count));
  for (Card& card : cards) {
    if (log) card.compute = std::make_unique<HashExecutor>(log);
    if (cost) card.timing = std::make_unique<FakeTiming>(cost);
  }
  return cards;
}

// An appliance that must open and configure.
inline std::unique_ptr<Appliance> OpenFake(const Placement& placement, std::shared_ptr<FakeLog> log,
                                           const CostFunction& cost, Timeline& timeline, int pages = 64,
                                           Links links = {}) {
  auto appliance = Appliance::Open(placement, FakeCards(UsedCards(placement), std::move(log), cost), links, timeline);
  if (!appliance.ok()) {
    ADD_FAILURE() << appliance.error().message;
    return nullptr;
  }
  NoWeights weights;
  const Status status = (*appliance)->Configure(&weights, pages);
  EXPECT_TRUE(status.ok()) << (status.ok() ? "" : status.error().message);
  return *std::move(appliance);
}

inline Time Ps(int64_t ps) { return {ps}; }

}  // namespace lodestone::testing
