#include "appliance/appliance.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "appliance/pass_check.h"
#include "appliance/sections.h"
#include "appliance/steps.h"
#include "appliance/timed_cards.h"

namespace lodestone {
namespace {

// A pass inside the chain. Its rows, pages and page copies are copied: the caller may reuse his after Submit.
struct Waiting {
  uint64_t id = 0;
  Time submitted;
  Load load;
  std::vector<Row> rows;
  std::vector<int32_t> page_table;
  int pages_per_sequence = 0;
  std::vector<PageCopy> page_copies;
};

Status CheckCards(const std::vector<Card>& cards, size_t used) {
  if (cards.size() != used) {
    return Invalid(fmt::format("the placement uses {} cards, {} were given", used, cards.size()));
  }
  for (size_t i = 0; i < cards.size(); ++i) {
    const bool computes = cards[i].compute != nullptr, timed = cards[i].timing != nullptr;
    if (!computes && !timed) return Invalid(fmt::format("card {} neither computes nor has a timing", i));
    if (computes != (cards[0].compute != nullptr) || timed != (cards[0].timing != nullptr)) {
      return Invalid(
          fmt::format("card {} is unlike card 0: all cards of an appliance compute or none does, and all are "
                      "timed or none is",
                      i));
    }
  }
  return {};
}

// A ring: what leaves keeps its memory for what enters next.
class Inside {
 public:
  explicit Inside(int credit) : ring_(static_cast<size_t>(credit)) {}
  size_t size() const { return count_; }
  int credit() const { return static_cast<int>(ring_.size()); }
  bool full() const { return count_ == ring_.size(); }
  const Waiting& front() const { return ring_[first_]; }
  Waiting& next() { return ring_[(first_ + count_) % ring_.size()]; }  // the place for one more
  void Add() { ++count_; }
  void Remove() {
    first_ = (first_ + 1) % ring_.size();
    --count_;
  }

 private:
  std::vector<Waiting> ring_;
  size_t first_ = 0, count_ = 0;
};

}  // namespace

struct Appliance::Impl {
  Placement placement;
  std::vector<Card> cards;
  Links links;
  Timeline& timeline;
  std::vector<ChainStep> steps;
  std::vector<int> slot;                        // of a stage: index into `cards`
  std::vector<std::vector<Stage>> card_stages;  // of a slot
  std::vector<StageStats> stats;                // labels and cards; measured cards: all
  Inside inside;
  std::vector<StageSeat> seats;     // of a stage, where cards compute
  std::optional<TimedCards> timed;  // where cards are timed, once configured
  FlowObserver* observer = nullptr;
  enum class State { kOpened, kConfigured, kFailed } state = State::kOpened;
  PassLimits limits;  // where cards compute, once configured

  bool computes() const { return cards.front().compute != nullptr; }
  bool simulated() const { return cards.front().timing != nullptr; }

  Status ConfigureCards(const WeightSource* weights, int pages);
  Status Check(const Pass& pass) const;
  Result<Tensor> Run(const Waiting& waiting);
};

Status Appliance::Impl::ConfigureCards(const WeightSource* weights, int pages) {
  if (simulated()) {
    std::vector<const Timing*> timings;
    for (const Card& card : cards) timings.push_back(card.timing.get());
    LODESTONE_ASSIGN_OR_RETURN(timed, TimedCards::Map(placement, steps, links, timings));
    timed->flow().Observe(observer);
  }
  if (!computes()) return {};
  for (size_t i = 0; i < cards.size(); ++i) {
    LODESTONE_RETURN_IF_ERROR(cards[i].compute->Configure(card_stages[i], *weights, pages));
  }
  std::vector<int> next_local(cards.size());
  for (size_t stage = 0; stage < placement.stages.size(); ++stage) {
    const size_t index = static_cast<size_t>(slot[stage]);
    seats.push_back({cards[index].compute.get(), next_local[index]++, placement.stages[stage].stage.label});
  }
  limits = LimitsOf(placement, pages);
  return {};
}

Status Appliance::Impl::Check(const Pass& pass) const {
  if (state != State::kConfigured) return Invalid("a pass was submitted before the appliance was configured");
  const Load& load = pass.load;
  if (load.rows < 1)
    return Invalid(fmt::format("pass {} has a load of {} rows, expected at least 1", pass.id, load.rows));
  if (computes()) {
    LODESTONE_RETURN_IF_ERROR(CheckPass(pass, limits));
  } else if (!pass.rows.empty()) {
    return Invalid(fmt::format("pass {} has rows, but no card of this appliance computes", pass.id));
  }
  if ((load.logit_rows | load.sequences) >= 0 && (load.context_sum | load.context_max | load.kv_tokens_read) >= 0)
    return {};
  return Invalid(fmt::format("pass {} has a load with a negative figure", pass.id));
}

Result<Tensor> Appliance::Impl::Run(const Waiting& waiting) {
  const Pass pass{waiting.id,         waiting.load, waiting.rows, waiting.page_table, waiting.pages_per_sequence,
                  waiting.page_copies};
  Tensor stream;
  for (size_t k = 0; k < steps.size(); ++k) {
    const size_t first = static_cast<size_t>(steps[k].first), count = static_cast<size_t>(steps[k].count);
    const bool last = k + 1 == steps.size();
    const Time start = timeline.Now();
    LODESTONE_ASSIGN_OR_RETURN(stream, RunStep(std::span(seats).subspan(first, count), pass, std::move(stream), last));
    if (simulated()) continue;
    const Time spent = timeline.Now() - start;
    for (size_t stage = first; stage < first + count; ++stage) {
      stats[stage].busy += spent;
      ++stats[stage].passes;
    }
  }
  return stream;
}

Appliance::Appliance(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Appliance::~Appliance() = default;

Result<std::unique_ptr<Appliance>> Appliance::Open(Placement placement, std::vector<Card> cards, Links links,
                                                   Timeline& timeline) {
  LODESTONE_ASSIGN_OR_RETURN(std::vector<ChainStep> steps, StepsOf(placement));
  std::vector<int> used, slot;
  std::vector<std::vector<Stage>> card_stages;
  std::vector<StageStats> stats;
  for (const PlacedStage& placed : placement.stages) {
    const auto found = std::find(used.begin(), used.end(), placed.card);
    const size_t index = static_cast<size_t>(found - used.begin());
    if (found == used.end()) {
      used.push_back(placed.card);
      card_stages.emplace_back();
    }
    slot.push_back(static_cast<int>(index));
    card_stages[index].push_back(placed.stage);
    StageStats& of_stage = stats.emplace_back();
    of_stage.label = placed.stage.label;
    of_stage.card = placed.card;
  }
  LODESTONE_RETURN_IF_ERROR(CheckCards(cards, used.size()));
  // One pass that computes and one that waits, at every step: with fewer a card could run dry, more would wait in front
  // of the slowest anyway.
  const int credit = 2 * static_cast<int>(steps.size());
  auto impl = std::unique_ptr<Impl>(new Impl{.placement = std::move(placement),
                                             .cards = std::move(cards),
                                             .links = links,
                                             .timeline = timeline,
                                             .steps = std::move(steps),
                                             .slot = std::move(slot),
                                             .card_stages = std::move(card_stages),
                                             .stats = std::move(stats),
                                             .inside = Inside(credit),
                                             .seats = {},
                                             .timed = {}});
  return std::unique_ptr<Appliance>(new Appliance(std::move(impl)));
}

Status Appliance::Configure(const WeightSource* weights, int pages) {
  if (impl_->state == Impl::State::kConfigured) return Invalid("the appliance is already configured");
  if (impl_->state == Impl::State::kFailed)
    return Invalid("configuring this appliance has failed, which leaves its cards half filled; open another one");
  if (pages < 0) return Invalid(fmt::format("{} KV pages, expected none or more", pages));
  if (impl_->computes() && weights == nullptr) return Invalid("cards that compute need weights, none were given");
  Status status = impl_->ConfigureCards(weights, pages);
  impl_->state = status.ok() ? Impl::State::kConfigured : Impl::State::kFailed;
  if (!status.ok()) impl_->timed.reset();
  return status;
}

Status Appliance::Submit(const Pass& pass) {
  LODESTONE_RETURN_IF_ERROR(impl_->Check(pass));
  if (impl_->inside.full()) {
    return Error{ErrorCode::kBusy,
                 fmt::format("{} passes are inside the chain; take the next one first", max_in_flight())};
  }
  Waiting& waiting = impl_->inside.next();
  waiting.id = pass.id;
  waiting.submitted = impl_->timeline.Now();
  if (impl_->timed) LODESTONE_RETURN_IF_ERROR(impl_->timed->Enter(waiting.submitted, pass.id, pass.load));
  impl_->inside.Add();
  if (!impl_->computes()) return {};
  waiting.load = pass.load;
  waiting.rows.assign(pass.rows.begin(), pass.rows.end());
  waiting.page_table.assign(pass.page_table.begin(), pass.page_table.end());
  waiting.pages_per_sequence = pass.pages_per_sequence;
  waiting.page_copies.assign(pass.page_copies.begin(), pass.page_copies.end());
  return {};
}

Result<std::optional<Done>> Appliance::Next() {
  if (impl_->inside.size() == 0) return std::optional<Done>();
  const Waiting& waiting = impl_->inside.front();
  impl_->inside.Remove();  // its place is taken by the next Submit at the earliest
  std::optional<Done> done(std::in_place);
  done->id = waiting.id;
  done->submitted = waiting.submitted;
  if (impl_->timed) {
    done->finished = impl_->timed->flow().Leave();
    impl_->timeline.AdvanceTo(done->finished);
  }
  if (impl_->computes()) {
    LODESTONE_ASSIGN_OR_RETURN(done->logits, impl_->Run(waiting));
  }
  if (!impl_->timed) done->finished = impl_->timeline.Now();
  return done;
}

std::optional<Time> Appliance::NextFinish() {
  if (!impl_->timed || impl_->inside.size() == 0) return std::nullopt;
  return impl_->timed->flow().NextFinish();
}

void Appliance::Observe(FlowObserver* observer) {
  impl_->observer = observer;
  if (impl_->timed) impl_->timed->flow().Observe(observer);
}

std::vector<FramebufferStats> Appliance::framebuffers() const {
  return impl_->timed ? impl_->timed->framebuffers() : std::vector<FramebufferStats>();
}

int Appliance::max_in_flight() const { return impl_->inside.credit(); }
bool Appliance::computes() const { return impl_->computes(); }
bool Appliance::simulated() const { return impl_->simulated(); }
Time Appliance::now() const { return impl_->timeline.Now(); }
const Placement& Appliance::placement() const { return impl_->placement; }

std::vector<StageStats> Appliance::stats() const {
  if (!impl_->timed) return impl_->stats;
  std::vector<StageStats> stats = impl_->timed->flow().stats();
  for (size_t i = 0; i < stats.size(); ++i) stats[i].label = impl_->stats[i].label;
  return stats;
}

std::vector<StageCost> Appliance::CostsOf(const Load& load) const {
  return impl_->timed ? impl_->timed->CostsOf(load) : std::vector<StageCost>();
}

std::vector<std::vector<OperatorCost>> Appliance::ExplainCosts(const Load& load) const {
  return impl_->timed ? impl_->timed->ExplainCosts(load) : std::vector<std::vector<OperatorCost>>();
}

std::vector<StageMapping> Appliance::mappings() const {
  return impl_->timed ? impl_->timed->Mappings() : std::vector<StageMapping>();
}

}  // namespace lodestone
