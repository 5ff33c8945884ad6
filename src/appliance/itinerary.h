// What every pass does between its way into a chain and its way back, as a list of activities in the order of the
// program, worked out once from placement and links.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "appliance/appliance.h"
#include "appliance/steps.h"
#include "base/status.h"
#include "timing/timing.h"

namespace lodestone {

inline constexpr int kAtHost = -1;

struct Activity {
  enum class Kind : uint8_t {
    kCompute,   // a card's array works on a section of a stage
    kMove,      // a tensor goes over a card's link
    kSoftware,  // the host turns a tensor around in its memory
    kReturn,    // the host has all logits, and is done with the pass after its turn-around
  };
  Kind kind = Kind::kCompute;
  bool takes_arrival = false;    // move: the first part of a tensor, which needs a slot of the receiver
  bool frees_departure = false;  // move: the last copy, which gives back the sender's slot
  bool takes_departure = false;  // compute: the result leaves over the card's link
  bool frees_arrival = false;    // compute: what it works on has come over the card's link
  bool adds = false;             // to a value of several parts, of which the latest counts; to the host in any order
  bool contended = false;        // waits in line with others, in an order that follows from times
  int from = kAtHost, to = kAtHost;            // stages; compute: `from`
  int from_card = kAtHost, to_card = kAtHost;  // used cards
  int section = 0;
  int source = 0, value = 0;  // moments of a pass (values): when it may begin at the earliest, when its result is there
  int amount = 0;             // of the pass's amounts: picoseconds to compute, bytes to move
  int first_wire = 0, wires = 0;  // move, of `paths`: shared wires on the way. software: the server's
  Time span;                      // move: latency. software and return: how long
};

// A wire that several cards share, in one direction; or the host's software, which serves one transfer at a time.
struct SharedWire {
  double ps_per_byte = 0;
};

// A stage as the flow of passes sees it.
struct FlowStage {
  int card = 0;      // in the appliance
  int kind = 0;      // stages of one kind have the same costs; kinds are numbered from 0
  int sections = 1;  // a gather between each two of them
};

// The costs of a kind, as a pass's amounts: bytes in, bytes out, then time and gathered bytes of each section.
struct AmountsOfKind {
  int first = 0, sections = 1;
  int input() const { return first; }
  int output() const { return first + 1; }
  int time(int section) const { return first + 2 + 2 * section; }
  int gather(int section) const { return first + 3 + 2 * section; }
};

struct Itinerary {
  std::vector<Activity> activities;  // in program order; the last is the return
  std::vector<int> paths;            // shared wires, by activity
  std::vector<SharedWire> wires;
  std::vector<AmountsOfKind> kinds;
  std::vector<FlowStage> stages;
  std::vector<int> cards;       // used, in the order in which the stages use them first
  std::vector<int> card_of;     // of a stage: which of the used cards
  int amounts = 0, values = 1;  // of a pass; value 0 is its entry
  double ps_per_byte = 0;       // of a card's link
  Energy energy_per_byte;       // that enters or leaves a card

  // Whether every wire and queue serves in an order that is known beforehand, so that no events are needed.
  bool ordered() const;
};

// Refused: ranks of a step on one card, or with different numbers of sections; stages of one kind alike.
Result<Itinerary> MakeItinerary(const std::vector<ChainStep>& steps, std::vector<FlowStage> stages, const Links& links);

}  // namespace lodestone
