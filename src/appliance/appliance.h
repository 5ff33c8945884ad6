// Cards in a chain, and passes that travel through them: the public runtime interface.
//
// A card is an optional executor (it computes) and an optional timing (it says how long a card of some kind would
// take).
//   executor alone      measured: the wall clock says when
//   timing alone        simulated without tokens: plans, sweeps
//   both                real tokens at simulated times
// All cards of one appliance are alike in this. The chain is first-in first-out, so the times of a pass follow from
// those of the pass before by a max-plus recurrence; there is no event heap.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "appliance/timeline.h"
#include "base/status.h"
#include "executor/executor.h"
#include "hardware/hardware.h"
#include "model/weight_source.h"
#include "plan/placement.h"
#include "timing/timing.h"

namespace lodestone {

struct Card {
  std::unique_ptr<Executor> compute;  // null: no tokens
  std::unique_ptr<Timing> timing;     // null: measured
};

// Times and bytes between cards; all zero for a card on this host.
struct Links {
  double bytes_per_s = 0;  // card to card in one server, each direction; 0: no cost
  Time latency;
  double network_bytes_per_s = 0;  // where neighbours sit in different servers
  Time network_latency;
  int cards_per_server = 0;  // 0: one server
  Time host_turnaround;      // charged once a pass, after its logits arrive
  static Links Of(const ApplianceSpec& spec);
};

struct Done {
  uint64_t id = 0;
  Tensor logits;  // [rows that wanted logits, in pass order][vocab]; empty without executors
  Time submitted, finished;
};

// What a stage did since Open.
struct StageStats {
  std::string label;
  int card = 0;
  Time busy;  // computing
  int64_t passes = 0;
  int64_t bytes_in = 0,
          bytes_out = 0;  // over simulated links; 0 between stages of one card, and where cards are measured
};

class Appliance {
 public:
  // `cards` has one entry a used card of the placement, in the order in which the stages use them first. `timeline`
  // outlives the appliance. Refused: cards that neither compute nor are timed, cards that are not alike, a number of
  // cards that differs from the placement's, incomplete ranks, and timed stages that gather between cards before the
  // logits.
  static Result<std::unique_ptr<Appliance>> Open(Placement placement, std::vector<Card> cards, Links links,
                                                 Timeline& timeline);
  ~Appliance();

  // Once, before the first pass: weights and KV pages to every card, stages mapped to its timing. `weights` may be null
  // where no card computes.
  Status Configure(const WeightSource* weights, int pages);

  // Sends a pass into the chain; its rows, page table and page copies are read before this returns. Rows are required
  // if and only if cards compute. Error kBusy: `max_in_flight` passes are inside; take `Next` first.
  Status Submit(const Pass& pass);

  // The next pass to leave the chain, in the order of submission; advances the timeline to that moment. None if no pass
  // is inside. Cards that compute do so here. An error of a card is the error of that pass, which is then no longer
  // inside.
  Result<std::optional<Done>> Next();

  int max_in_flight() const;  // framebuffer credit: one pass computing and one waiting, at every step of the chain
  bool computes() const;
  bool simulated() const;
  Time now() const;  // of the timeline
  const Placement& placement() const;
  std::vector<StageStats> stats() const;
  // Stage costs of one pass of this load, in the order of the placement (timed appliances only; empty otherwise).
  std::vector<StageCost> CostsOf(const Load& load) const;
  std::vector<std::vector<OperatorCost>> ExplainCosts(const Load& load) const;

 private:
  struct Impl;
  explicit Appliance(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace lodestone
