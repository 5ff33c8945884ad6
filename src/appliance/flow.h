// When passes leave a chain of simulated cards.
//
// A pass goes through the steps of the chain in order. What happens to it is a list of activities (itinerary.h), each
// of which begins when all that it needs is there, all moments in integer picoseconds:
//
//   array        serves in program order: pass after pass, a pass's stages and sections in order. A section begins at
//                    max(input or gathered parts arrived, array free, departure slot free)
//                and ends after its time. What the last term adds is a stall.
//   link         of a card, a DMA engine each way, beside the array. Each engine serves in program order too: for a
//                pass first its input, then the gathered parts section after section, then what leaves; the control of
//                these chips has no data-dependent branch, and neither have their descriptors. A transfer begins at
//                    start = max(bytes computed, sender's engine free, receiver's engine free, arrival slot free,
//                                shared wires free)
//                and cuts through: it holds every wire on its way from `start` for bytes / rate of that wire, and has
//                    arrived at start + the longest of these + latency.
//   gather       after each section but the last, a rank sends its part to the rank after it first, then to the one
//                after that, so that a card receives one part at a time; the array waits for all parts (`gathers`).
//                Ranks hold the same residual stream, so rank q of the next step is served by rank q mod ranks, which
//                serves its receivers one after another.
//   framebuffer  half takes what arrives, half what departs, in slots of the largest tensor. An arrival's slot is taken
//                by its first byte and free when the array begins with it: the array's registers are core memory, and
//                in the ledger. A departure's slot is taken when the array begins what fills it, for the array cannot
//                pause halfway, and free when the last copy has left the card.
//   shared       the uplink of a switch for all that crosses it (other switches, the host, other servers), the network
//   wires        of a server, each direction. They serve in the order in which transfers could begin otherwise; at the
//                same moment, the older pass first. A wire that the links of its users together cannot fill delays
//                nobody and is left out: so the published server needs no queue.
//   host         sits in the server of the first card. Its memory is as fast as all links. With transfers through host
//                memory a hop is a transfer to the host, `host_transfer` of its software, which serves one transfer of
//                the server at a time in order of arrival, and a transfer to the receiver, whose slot the latter needs.
//                A pass has finished when its last outputs are at the host and the turn-around is over.
//
// Stages on one card hand over at no cost. A transfer between servers has the latency of the link and of the network.
//
// Where all orders of service are program order, the moments of a pass are max-plus sums of those of passes before it:
// the recurrence of chain.h, and more bandwidth, less latency or a shorter stage never makes any pass later. Where the
// order on a shared wire follows from times, event_flow.h works through a heap of requests; passes still leave in
// order, but as in any first-come first-served network one that comes earlier may delay another more than it gains.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "appliance/appliance.h"
#include "appliance/itinerary.h"
#include "program/work.h"
#include "timing/timing.h"

namespace lodestone {

class Flow {
 public:
  virtual ~Flow() = default;

  // A pass enters at `now`, not before any pass that has left. `costs` has one entry a kind of stage, with as many
  // sections as the itinerary says.
  virtual void Enter(Time now, uint64_t id, const Load& load, std::span<const StageCost* const> costs) = 0;
  // When the oldest pass inside leaves if no other enters before. At least one is inside.
  virtual Time NextFinish() = 0;
  // The oldest pass leaves, at the time returned; no pass enters before that time any more. At least one is inside.
  virtual Time Leave() = 0;

  // Null: nobody listens.
  virtual void Observe(FlowObserver* observer) = 0;
  // Of all passes that have entered, as if no other did; without labels.
  virtual std::vector<StageStats> stats() const = 0;
  virtual std::vector<FramebufferStats> framebuffers() const = 0;  // slot and capacity bytes left to the caller
};

enum class FlowMethod { kAutomatic, kRecurrence, kEvents };

// `slots`: of either half of the framebuffer, one a used card; FramebufferHalf::kUnlimited for no limit. kAutomatic:
// the recurrence where it is exact, otherwise events. Refused: the recurrence where it is not exact.
Result<std::unique_ptr<Flow>> MakeFlow(Itinerary itinerary, std::vector<int64_t> slots,
                                       FlowMethod method = FlowMethod::kAutomatic);

}  // namespace lodestone
