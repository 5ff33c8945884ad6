#include "appliance/appliance.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <utility>

#include "appliance/chain.h"
#include "appliance/sections.h"

namespace lodestone {
namespace {

// A pass inside the chain. Its rows, pages and page copies are copied: the caller may reuse his after Submit.
struct Waiting {
  uint64_t id = 0;
  Time submitted, finished;  // finished: of simulated cards, known at submission
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

// What the chain's recurrence does not describe is refused rather than left out of the time.
Status CheckTimedSteps(const Placement& placement, const std::vector<ChainStep>& steps) {
  for (size_t k = 0; k < steps.size(); ++k) {
    const Stage& stage = placement.stages[static_cast<size_t>(steps[k].first)].stage;
    if (steps[k].count == 1) continue;
    if (k + 1 < steps.size() || GathersInside(stage)) {
      return Unsupported(
          fmt::format("stage '{}' is split over {} cards that gather activations between them; only the "
                      "output layer can be split where cards are simulated",
                      stage.label, stage.of));
    }
  }
  return {};
}

}  // namespace

struct Appliance::Impl {
  Placement placement;
  std::vector<Card> cards;
  Timeline& timeline;
  std::vector<ChainStep> steps;
  std::vector<int> slot;                              // of a stage: index into `cards`
  std::vector<std::vector<Stage>> card_stages;        // of a slot
  std::vector<StageSeat> seats;                       // of a stage, where cards compute
  std::vector<std::unique_ptr<StageTiming>> timings;  // of a stage, where cards are timed
  Chain chain;
  std::vector<StageCost> costs;  // of the pass being submitted
  std::vector<StageStats> stats;
  std::deque<Waiting> inside;
  bool configured = false;

  bool computes() const { return cards.front().compute != nullptr; }
  bool timed() const { return cards.front().timing != nullptr; }
  int credit() const { return 2 * static_cast<int>(steps.size()); }

  Status CheckPass(const Pass& pass) const;
  Result<Tensor> Run(const Waiting& waiting);
};

Status Appliance::Impl::CheckPass(const Pass& pass) const {
  if (!configured) return Invalid("a pass was submitted before the appliance was configured");
  if (pass.load.rows < 1)
    return Invalid(fmt::format("pass {} has a load of {} rows, expected at least 1", pass.id, pass.load.rows));
  if (!computes()) {
    if (!pass.rows.empty())
      return Invalid(fmt::format("pass {} has rows, but no card of this appliance computes", pass.id));
    return {};
  }
  if (pass.rows.empty())
    return Invalid(fmt::format("pass {} has no rows, but the cards of this appliance compute", pass.id));
  if (pass.rows.size() != static_cast<size_t>(pass.load.rows)) {
    return Invalid(fmt::format("pass {} has {} rows, its load says {}", pass.id, pass.rows.size(), pass.load.rows));
  }
  const int64_t table = int64_t{pass.load.sequences} * pass.pages_per_sequence;
  if (pass.pages_per_sequence < 0 || table != static_cast<int64_t>(pass.page_table.size())) {
    return Invalid(fmt::format("pass {} has a page table of {} entries, expected {} sequences × {} pages", pass.id,
                               pass.page_table.size(), pass.load.sequences, pass.pages_per_sequence));
  }
  return {};
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
    if (timed()) continue;
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
  std::vector<int> card_of_stage, used, slot;
  std::vector<std::vector<Stage>> card_stages;
  std::vector<StageStats> stats;
  for (const PlacedStage& placed : placement.stages) {
    const auto found = std::find(used.begin(), used.end(), placed.card);
    const size_t index = static_cast<size_t>(found - used.begin());
    if (found == used.end()) {
      used.push_back(placed.card);
      card_stages.emplace_back();
    }
    card_of_stage.push_back(placed.card);
    slot.push_back(static_cast<int>(index));
    card_stages[index].push_back(placed.stage);
    stats.push_back({.label = placed.stage.label, .card = placed.card, .busy = {}});
  }
  LODESTONE_RETURN_IF_ERROR(CheckCards(cards, used.size()));
  if (cards.front().timing) LODESTONE_RETURN_IF_ERROR(CheckTimedSteps(placement, steps));

  Chain chain(steps, card_of_stage, links);
  auto impl = std::unique_ptr<Impl>(new Impl{.placement = std::move(placement),
                                             .cards = std::move(cards),
                                             .timeline = timeline,
                                             .steps = std::move(steps),
                                             .slot = std::move(slot),
                                             .card_stages = std::move(card_stages),
                                             .seats = {},
                                             .timings = {},
                                             .chain = std::move(chain),
                                             .costs = {},
                                             .stats = std::move(stats),
                                             .inside = {}});
  return std::unique_ptr<Appliance>(new Appliance(std::move(impl)));
}

Status Appliance::Configure(const WeightSource* weights, int pages) {
  if (impl_->configured) return Invalid("the appliance is already configured");
  if (pages < 0) return Invalid(fmt::format("{} KV pages, expected none or more", pages));
  if (impl_->computes()) {
    if (weights == nullptr) return Invalid("cards that compute need weights, none were given");
    for (size_t i = 0; i < impl_->cards.size(); ++i) {
      LODESTONE_RETURN_IF_ERROR(impl_->cards[i].compute->Configure(impl_->card_stages[i], *weights, pages));
    }
  }
  std::vector<int> next_local(impl_->cards.size());
  std::vector<StageSeat> seats;
  std::vector<std::unique_ptr<StageTiming>> timings;
  for (size_t stage = 0; stage < impl_->placement.stages.size(); ++stage) {
    const size_t slot = static_cast<size_t>(impl_->slot[stage]);
    const Stage& placed = impl_->placement.stages[stage].stage;
    if (impl_->computes()) {
      seats.push_back({impl_->cards[slot].compute.get(), next_local[slot]++, placed.label});
    }
    if (!impl_->timed()) continue;
    auto timing = impl_->cards[slot].timing->Map(placed);
    if (!timing.ok())
      return Error{timing.error().code, fmt::format("stage '{}': {}", placed.label, timing.error().message)};
    timings.push_back(*std::move(timing));
  }
  impl_->seats = std::move(seats);
  impl_->timings = std::move(timings);
  impl_->costs.resize(impl_->timings.size());
  impl_->configured = true;
  return {};
}

Status Appliance::Submit(const Pass& pass) {
  LODESTONE_RETURN_IF_ERROR(impl_->CheckPass(pass));
  if (static_cast<int>(impl_->inside.size()) >= impl_->credit()) {
    return Error{ErrorCode::kBusy,
                 fmt::format("{} passes are inside the chain; take the next one first", impl_->credit())};
  }
  Waiting waiting;
  waiting.id = pass.id;
  waiting.submitted = impl_->timeline.Now();
  waiting.load = pass.load;
  if (impl_->timed()) {
    for (size_t i = 0; i < impl_->timings.size(); ++i) impl_->costs[i] = impl_->timings[i]->Evaluate(pass.load);
    waiting.finished = impl_->chain.Send(waiting.submitted, impl_->costs, impl_->stats);
  }
  waiting.rows.assign(pass.rows.begin(), pass.rows.end());
  waiting.page_table.assign(pass.page_table.begin(), pass.page_table.end());
  waiting.pages_per_sequence = pass.pages_per_sequence;
  waiting.page_copies.assign(pass.page_copies.begin(), pass.page_copies.end());
  impl_->inside.push_back(std::move(waiting));
  return {};
}

Result<std::optional<Done>> Appliance::Next() {
  if (impl_->inside.empty()) return std::optional<Done>();
  const Waiting waiting = std::move(impl_->inside.front());
  impl_->inside.pop_front();
  Done done;
  done.id = waiting.id;
  done.submitted = waiting.submitted;
  if (impl_->computes()) {
    LODESTONE_ASSIGN_OR_RETURN(done.logits, impl_->Run(waiting));
  }
  if (impl_->timed()) impl_->timeline.AdvanceTo(waiting.finished);
  done.finished = impl_->timed() ? waiting.finished : impl_->timeline.Now();
  return std::optional<Done>(std::move(done));
}

int Appliance::max_in_flight() const { return impl_->credit(); }
bool Appliance::computes() const { return impl_->computes(); }
bool Appliance::simulated() const { return impl_->timed(); }
Time Appliance::now() const { return impl_->timeline.Now(); }
const Placement& Appliance::placement() const { return impl_->placement; }
std::vector<StageStats> Appliance::stats() const { return impl_->stats; }

std::vector<StageCost> Appliance::CostsOf(const Load& load) const {
  std::vector<StageCost> costs;
  for (const auto& timing : impl_->timings) costs.push_back(timing->Evaluate(load));
  return costs;
}

std::vector<std::vector<OperatorCost>> Appliance::ExplainCosts(const Load& load) const {
  std::vector<std::vector<OperatorCost>> costs;
  for (const auto& timing : impl_->timings) costs.push_back(timing->Explain(load));
  return costs;
}

}  // namespace lodestone
