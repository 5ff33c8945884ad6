// Cards in a chain, and passes that travel through them: the public runtime interface.
//
// A card is an optional executor (it computes) and an optional timing (it says how long a card of some kind would
// take).
//   executor alone      measured: the wall clock says when
//   timing alone        simulated without tokens: plans, sweeps
//   both                real tokens at simulated times
// All cards of one appliance are alike in this. The chain is first-in first-out; flow.h says when a pass leaves
// simulated cards.
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

// How a tensor gets from card to card.
enum class Transfers {
  kDirect,  // over PCIe, no host involved (HPEC 2024, section on the appliance)
  kHost,    // into host memory and out of it again, as ordinary PCIe endpoints do
};
const char* ToString(Transfers transfers);  // "direct", "host"

// Times and bytes between cards; all zero for a card on this host.
struct Links {
  double bytes_per_s = 0;  // a card's own link, each direction; 0: no cost
  Time latency;
  int cards_per_switch = 0;        // behind one switch; 0: no switch limits anybody
  double uplink_bytes_per_s = 0;   // of a switch to the host and to other switches, each direction, shared; 0: no limit
  double network_bytes_per_s = 0;  // of a server, each direction, shared: where neighbours sit in different servers
  Time network_latency;
  int cards_per_server = 0;  // 0: one server
  Time host_turnaround;      // charged once a pass, after its logits arrive
  Time host_transfer;        // software of a transfer through host memory
  Transfers transfers = Transfers::kDirect;
  int64_t framebuffer_bytes = 0;  // of a card; half takes what arrives, half holds what leaves; 0: no limit
  Energy link_energy_per_byte;    // that enters or leaves a card
  static Links Of(const ApplianceSpec& spec, Transfers transfers = Transfers::kDirect);
};

struct Done {
  uint64_t id = 0;
  Tensor logits;  // [rows that wanted logits, in pass order][vocab]; empty without executors
  Time submitted, finished;
};

// What a stage did since Open, for all passes that were submitted.
struct StageStats {
  std::string label;
  int card = 0;
  Time busy;     // computing
  Time gathers;  // the array waits for other ranks' parts
  Time stalls;   // the array waits because its results cannot leave: back-pressure
  int64_t passes = 0;
  // Over the card's simulated link, gathered parts too; 0 between stages of one card, and where cards are measured.
  int64_t bytes_in = 0, bytes_out = 0;
  EnergyParts energy;  // dynamic, of the array
  Energy link_energy;
};

// A card's framebuffer since Open: bytes of tensors that wait for the array or for their way out.
struct FramebufferStats {
  int64_t capacity = 0, slot_bytes = 0;  // a slot holds the largest tensor of the largest pass; capacity 0: no limit
  int slots_in = 0, slots_out = 0;       // 0: no limit
  int64_t peak_bytes = 0;                // the most that arrivals took, and the most that departures took
  double byte_seconds = 0;               // ∫ bytes dt: over the time of the run, the average occupancy
};

// Hears what a simulated chain does, in the order in which it is worked out, not of time. For traces.
class FlowObserver {
 public:
  virtual ~FlowObserver() = default;
  virtual void Computes(int stage, uint64_t pass, const Load& load, int section, Time start, Time finish) = 0;
  // `from` and `to` are stages; −1 is the host. From the first byte on the way to the last; latency comes after.
  virtual void Moves(int from, int to, uint64_t pass, int64_t bytes, Time start, Time finish) = 0;
  virtual void Stalls(int stage, uint64_t pass, Time start, Time finish) = 0;
  virtual void HostWorks(uint64_t pass, Time start, Time finish) = 0;  // turn-around, transfers through its memory
  // What lies in a card's framebuffer from that moment on; in order of time, and without the last moments of a run.
  virtual void Holds(int card, Time at, int64_t framebuffer_bytes) = 0;
};

class Appliance {
 public:
  // `cards` has one entry a used card of the placement, in the order in which the stages use them first. `timeline`
  // outlives the appliance. Refused: cards that neither compute nor are timed, cards that are not alike, a number of
  // cards that differs from the placement's, and incomplete ranks.
  static Result<std::unique_ptr<Appliance>> Open(Placement placement, std::vector<Card> cards, Links links,
                                                 Timeline& timeline);
  ~Appliance();

  // Once, before the first pass, also where a card fails: weights and KV pages to every card, stages mapped to timings.
  // `weights` may be null where no card computes. Infeasible where cards are timed: a stage that the chip cannot hold
  // or run, and a framebuffer without room for a tensor of the largest pass that the placement was made for.
  Status Configure(const WeightSource* weights, int pages);

  // Sends a pass into the chain; what it points to is read before this returns. Rows are required if and only if cards
  // compute. kBusy: `max_in_flight` passes are inside; take `Next` first. Refused: rows, tokens, positions and pages
  // out of range, two rows that write one KV entry, a tensor larger than a slot of simulated cards' framebuffers.
  Status Submit(const Pass& pass);

  // The next pass to leave the chain, in the order of submission; advances the timeline to that moment. None if no pass
  // is inside. Cards that compute do so here. An error of a card is the error of that pass, which is then no longer
  // inside; simulated time has passed nevertheless.
  Result<std::optional<Done>> Next();

  // When the next pass leaves a simulated chain, if nothing else is submitted; none where nothing is inside or cards
  // are measured.
  std::optional<Time> NextFinish();

  // Null: nobody listens. Outlives the appliance, or is taken away.
  void Observe(FlowObserver* observer);

  int max_in_flight() const;  // framebuffer credit: one pass computing and one waiting, at every step of the chain
  bool computes() const;
  bool simulated() const;
  Time now() const;  // of the timeline
  const Placement& placement() const;
  std::vector<StageStats> stats() const;
  std::vector<FramebufferStats> framebuffers() const;  // of the used cards, in order; simulated ones
  // Stage costs of one pass of this load, in the order of the placement (timed appliances only; empty otherwise).
  std::vector<StageCost> CostsOf(const Load& load) const;
  std::vector<std::vector<OperatorCost>> ExplainCosts(const Load& load) const;
  std::vector<StageMapping> mappings() const;  // of the same stages

 private:
  struct Impl;
  explicit Appliance(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace lodestone
