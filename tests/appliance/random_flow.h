// Random chains with random links and passes, drawn from a seed.
#pragma once

#include <cstdint>
#include <random>
#include <utility>
#include <vector>

#include "appliance/flow_run.h"

namespace lodestone::testing {

struct RandomFlow {
  Placement placement;
  Links links;
  FlowOptions options;
  struct Entry {
    int64_t now = 0;
    std::vector<StageCost> costs;
  };
  std::vector<Entry> passes;
};

struct FlowDraw {
  bool gathers = true, slots = true, shared_wires = true, host_transfers = true;
};

inline RandomFlow DrawFlow(uint32_t seed, const FlowDraw& may) {
  std::mt19937 random(seed);
  const auto pick = [&](int low, int high) { return std::uniform_int_distribution<int>(low, high)(random); };
  std::vector<int> ranks(static_cast<size_t>(pick(1, 5)));
  for (int& count : ranks) count = pick(0, 2) == 0 ? pick(2, 3) : 1;
  RandomFlow flow;
  flow.placement = FakePlacement(ranks);
  // Consecutive steps of one stage share a card now and then.
  int card = -1;
  for (size_t i = 0; i < flow.placement.stages.size(); ++i) {
    PlacedStage& stage = flow.placement.stages[i];
    const bool follows = i > 0 && stage.stage.of == 1 && flow.placement.stages[i - 1].stage.of == 1;
    if (!(follows && pick(0, 3) == 0)) card += pick(0, 5) == 0 ? 2 : 1;
    stage.card = card;
  }
  for (size_t i = 0; i < flow.placement.stages.size();) {
    const int of = flow.placement.stages[i].stage.of;
    flow.options.sections.insert(flow.options.sections.end(), static_cast<size_t>(of),
                                 of > 1 && may.gathers ? pick(2, 3) : 1);
    i += static_cast<size_t>(of);
  }
  if (may.slots && pick(0, 3) > 0) flow.options.slots = pick(1, 3);
  Links& links = flow.links;
  const int per_byte = pick(0, 2);
  if (per_byte > 0) links.bytes_per_s = 1e12 / per_byte;
  links.latency = {pick(0, 9)};
  links.host_turnaround = {pick(0, 30)};
  links.link_energy_per_byte = {pick(0, 5)};
  if (pick(0, 1)) {
    links.cards_per_server = 4;
    links.network_latency = {pick(0, 40)};
    if (may.shared_wires) links.network_bytes_per_s = 1e12 / (per_byte + pick(1, 3));
  }
  if (may.shared_wires && pick(0, 1)) {
    links.cards_per_switch = 2;
    links.uplink_bytes_per_s = 1e12 / (per_byte + pick(1, 3));
  }
  if (may.host_transfers && pick(0, 2) == 0) {
    links.transfers = Transfers::kHost;
    links.host_transfer = {pick(0, 20)};
  }
  int64_t now = 0;
  for (int pass = pick(1, 12); pass > 0; --pass) {
    RandomFlow::Entry entry{.now = now, .costs = {}};
    for (size_t i = 0; i < flow.placement.stages.size(); ++i) {
      std::vector<std::pair<int64_t, int64_t>> sections;
      for (int section = 0; section < flow.options.sections[i]; ++section) {
        sections.emplace_back(pick(0, 40), pick(0, 15));
      }
      entry.costs.push_back(Gathering(sections, pick(0, 20), pick(0, 20)));
      if (flow.options.sections[i] == 1) entry.costs.back().sections.clear();
      entry.costs.back().energy.matrix = {pick(0, 9)};
      entry.costs.back().energy.memory = {pick(0, 9)};
    }
    flow.passes.push_back(std::move(entry));
    if (pick(0, 2) == 0) now += pick(0, 60);
  }
  return flow;
}

}  // namespace lodestone::testing
