// What flow.h says, done the plain way: a list of all that all passes still have to do, walked from moment to moment,
// beginning whatever may begin. Slow, and written without the itinerary that the flows share.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "appliance/flow_run.h"

namespace lodestone::testing {

class PlainFlow {
 public:
  // Links are infinitely fast or whole picoseconds a byte; shared wires, where there are any, are slower than links.
  PlainFlow(const Placement& placement, const Links& links, const FlowOptions& options)
      : placement_(placement), links_(links), options_(options) {}

  void Enter(int64_t now, const std::vector<StageCost>& costs);
  void Run();

  std::vector<int64_t> finishes;         // of passes
  std::vector<int64_t> stalls, gathers;  // of stages
  struct Hold {
    int64_t from = 0, until = 0, bytes = 0;
  };
  std::map<std::pair<int, bool>, std::vector<Hold>> holds;  // of a card; true: departures

 private:
  static constexpr int64_t kNever = INT64_MAX;
  struct Item {
    int pass = 0;
    bool computes = false, returns = false, software = false;
    int stage = -1, section = 0;
    int64_t span = 0, latency = 0, bytes = 0;
    std::vector<size_t> after;                     // results needed
    std::vector<std::pair<char, int>> queues;      // array, out or in of a card: served in the order of the list
    std::vector<std::pair<char, int>> shared;      // served in order of request
    int needs_arrival = -1, needs_departure = -1;  // a slot of that card
    int64_t earliest = 0;
    int64_t begin = kNever, done = kNever;
    // Slots that this item gives back when it begins, or when its bytes are off.
    size_t frees_arrival_of = SIZE_MAX, frees_departure_of = SIZE_MAX;
    int64_t arrival_bytes = 0;  // of the first part: all parts
  };
  struct Line {
    std::vector<size_t> items;
    size_t next = 0;
    int64_t free = 0;
  };

  int Card(int stage) const { return placement_.stages[static_cast<size_t>(stage)].card; }
  int64_t LinkTime(int64_t bytes) const { return PerByte(links_.bytes_per_s) * bytes; }
  static int64_t PerByte(double rate) { return rate > 0 ? static_cast<int64_t>(1e12 / rate + 0.5) : 0; }
  int Server(int card) const { return links_.cards_per_server > 0 ? card / links_.cards_per_server : 0; }
  int Switch(int card) const { return links_.cards_per_switch > 0 ? card / links_.cards_per_switch : 0; }
  size_t Add(Item item);
  size_t Transfer(int pass, int from, int to, int host_server, int64_t bytes, size_t after, size_t first_part);
  size_t Hop(int pass, int from, int to, int64_t bytes, size_t after, size_t first_part);
  bool MayBegin(const Item& item, int64_t now) const;
  void Begin(size_t index, int64_t now);

  Placement placement_;
  Links links_;
  FlowOptions options_;
  std::vector<Item> items_;
  std::map<std::pair<char, int>, Line> lines_;
  std::map<std::pair<char, int>, int64_t> shared_free_;
  std::map<int, std::vector<int64_t>> arrivals_, departures_;  // of a card: when slots in use become free
  std::map<size_t, size_t> slot_of_;
};

inline size_t PlainFlow::Add(Item item) {
  for (const auto& queue : item.queues) lines_[queue].items.push_back(items_.size());
  items_.push_back(std::move(item));
  return items_.size() - 1;
}

// `first_part`: the transfer that took the slot for this tensor, SIZE_MAX for the first.
inline size_t PlainFlow::Transfer(int pass, int from, int to, int host_server, int64_t bytes, size_t after,
                                  size_t first_part) {
  Item item;
  item.pass = pass;
  item.bytes = bytes;
  item.span = LinkTime(bytes);
  item.latency = links_.latency.ps;
  if (after != SIZE_MAX) item.after = {after};
  const int from_server = from < 0 ? host_server : Server(Card(from));
  const int to_server = to < 0 ? host_server : Server(Card(to));
  if (from >= 0) item.queues.push_back({'o', Card(from)});
  if (to >= 0) item.queues.push_back({'i', Card(to)});
  const bool crosses = from < 0 || to < 0 || Switch(Card(from)) != Switch(Card(to));
  if (links_.uplink_bytes_per_s > 0 && crosses) {
    if (from >= 0) item.shared.push_back({'u', Switch(Card(from))});
    if (to >= 0) item.shared.push_back({'d', Switch(Card(to))});
  }
  if (from_server != to_server) {
    item.latency += links_.network_latency.ps;
    if (links_.network_bytes_per_s > 0) {
      item.shared.push_back({'s', from_server});
      item.shared.push_back({'r', to_server});
    }
  }
  if (to >= 0 && first_part == SIZE_MAX) item.needs_arrival = Card(to);
  item.arrival_bytes = bytes;
  if (first_part != SIZE_MAX) items_[first_part].arrival_bytes += bytes;
  return Add(item);
}

inline size_t PlainFlow::Hop(int pass, int from, int to, int64_t bytes, size_t after, size_t first_part) {
  if (links_.transfers == Transfers::kDirect || to < 0) return Transfer(pass, from, to, 0, bytes, after, first_part);
  const int server = Server(Card(from));
  const size_t up = Transfer(pass, from, -1, server, bytes, after, SIZE_MAX);
  Item turn;
  turn.pass = pass;
  turn.software = true;
  turn.span = links_.host_transfer.ps;
  turn.after = {up};
  turn.shared = {{'h', server}};
  return Transfer(pass, -1, to, server, bytes, Add(turn), first_part);
}

inline void PlainFlow::Enter(int64_t now, const std::vector<StageCost>& costs) {
  const auto& stages = placement_.stages;
  const int pass = static_cast<int>(finishes.size());
  finishes.push_back(0);
  stalls.resize(stages.size());
  gathers.resize(stages.size());
  std::vector<std::vector<size_t>> inputs(stages.size());  // items that a stage waits for
  std::vector<size_t> came(stages.size(), SIZE_MAX);       // the transfer that took the slot of its input
  const int count = static_cast<int>(stages.size());
  for (int s = 0; s < stages.front().stage.of; ++s) {
    came[static_cast<size_t>(s)] =
        Transfer(pass, -1, s, 0, costs[static_cast<size_t>(s)].input_bytes, SIZE_MAX, SIZE_MAX);
    items_.back().earliest = now;
    inputs[static_cast<size_t>(s)] = {items_.size() - 1};
  }
  Item back;
  back.pass = pass;
  back.returns = true;
  back.span = links_.host_turnaround.ps;
  for (int first = 0; first < count;) {
    const int ranks = stages[static_cast<size_t>(first)].stage.of, next = first + ranks;
    const int sections = options_.sections.empty() ? 1 : options_.sections[static_cast<size_t>(first)];
    std::vector<size_t> computed(static_cast<size_t>(ranks));
    std::vector<std::vector<size_t>> copies;
    const auto sends = [&](int r,
                           size_t copy_start) {  // what was added from there on by rank r are copies of its result
      size_t last = SIZE_MAX;
      for (size_t i = copy_start; i < items_.size(); ++i) {
        if (!items_[i].queues.empty() && items_[i].queues.front() == std::pair{'o', Card(first + r)}) last = i;
      }
      if (last == SIZE_MAX) return;
      items_[last].frees_departure_of = computed[static_cast<size_t>(r)];
      items_[computed[static_cast<size_t>(r)]].needs_departure = Card(first + r);
    };
    for (int section = 0; section < sections; ++section) {
      for (int r = 0; r < ranks; ++r) {
        const size_t s = static_cast<size_t>(first + r);
        Item compute;
        compute.pass = pass;
        compute.computes = true;
        compute.stage = first + r;
        compute.section = section;
        compute.span = sections == 1 ? costs[s].time.ps : costs[s].sections[static_cast<size_t>(section)].time.ps;
        compute.after = inputs[s];
        compute.queues = {{'a', Card(first + r)}};
        compute.frees_arrival_of = came[s];
        computed[static_cast<size_t>(r)] = Add(compute);
      }
      const size_t copies_from = items_.size();
      if (section + 1 < sections) {
        for (int r = 0; r < ranks; ++r) {
          inputs[static_cast<size_t>(first + r)].clear();
          came[static_cast<size_t>(first + r)] = SIZE_MAX;
        }
        for (int away = 1; away < ranks; ++away) {
          for (int r = 0; r < ranks; ++r) {
            const size_t to = static_cast<size_t>(first + (r + away) % ranks);
            const int64_t bytes =
                costs[static_cast<size_t>(first + r)].sections[static_cast<size_t>(section)].gather_bytes;
            const size_t part =
                Hop(pass, first + r, static_cast<int>(to), bytes, computed[static_cast<size_t>(r)], came[to]);
            if (away == 1) came[to] = part;
            inputs[to].push_back(part);
          }
        }
      } else {
        for (int r = 0; r < ranks; ++r) {
          const size_t result = computed[static_cast<size_t>(r)];
          if (next == count) {
            back.after.push_back(
                Hop(pass, first + r, -1, costs[static_cast<size_t>(first + r)].output_bytes, result, SIZE_MAX));
            continue;
          }
          for (int q = r; q < stages[static_cast<size_t>(next)].stage.of; q += ranks) {
            const size_t to = static_cast<size_t>(next + q);
            const bool moves = Card(next + q) != Card(first + r);
            inputs[to] = {moves ? Hop(pass, first + r, next + q, costs[to].input_bytes, result, SIZE_MAX) : result};
            if (moves) came[to] = inputs[to].front();
          }
        }
      }
      for (int r = 0; r < ranks; ++r) sends(r, copies_from);
    }
    first = next;
  }
  Add(back);
}

inline bool PlainFlow::MayBegin(const Item& item, int64_t now) const {
  if (item.begin != kNever || item.earliest > now) return false;
  const size_t index = static_cast<size_t>(&item - items_.data());
  for (size_t result : item.after) {
    if (items_[result].done > now) return false;
  }
  for (const auto& queue : item.queues) {
    const Line& line = lines_.at(queue);
    if (line.items[line.next] != index || line.free > now) return false;
  }
  const auto slot_free = [&](const std::map<int, std::vector<int64_t>>& slots, int card) {
    if (card < 0 || !slots.count(card)) return true;
    const auto& used = slots.at(card);
    return std::count_if(used.begin(), used.end(), [&](int64_t until) { return until > now; }) < options_.slots;
  };
  return slot_free(arrivals_, item.needs_arrival) && slot_free(departures_, item.needs_departure);
}

inline void PlainFlow::Begin(size_t index, int64_t now) {
  Item& item = items_[index];
  int64_t begin = now, longest = item.span;
  for (const auto& wire : item.shared) begin = std::max(begin, shared_free_[wire]);
  for (const auto& wire : item.shared) {
    const double rate = wire.first == 'u' || wire.first == 'd' ? links_.uplink_bytes_per_s : links_.network_bytes_per_s;
    const int64_t held = item.software ? item.span : PerByte(rate) * item.bytes;
    shared_free_[wire] = begin + held;
    longest = std::max(longest, held);
  }
  item.begin = begin;
  item.done = begin + longest + item.latency;
  if (item.computes) {
    int64_t ready = lines_[item.queues.front()].free;
    const int64_t before = ready;
    for (size_t result : item.after) ready = std::max(ready, items_[result].done);
    stalls[static_cast<size_t>(item.stage)] += begin - ready;
    if (item.section > 0) gathers[static_cast<size_t>(item.stage)] += ready - before;
  }
  for (const auto& queue : item.queues) {
    lines_[queue].free = begin + item.span;
    ++lines_[queue].next;
  }
  if (item.needs_arrival >= 0) {
    slot_of_[index] = arrivals_[item.needs_arrival].size();
    arrivals_[item.needs_arrival].push_back(kNever);
  }
  if (item.needs_departure >= 0) {
    slot_of_[index] = departures_[item.needs_departure].size();
    departures_[item.needs_departure].push_back(kNever);
  }
  if (item.frees_arrival_of != SIZE_MAX) {
    const Item& taker = items_[item.frees_arrival_of];
    arrivals_[taker.needs_arrival][slot_of_[item.frees_arrival_of]] = begin;
    holds[{taker.needs_arrival, false}].push_back({taker.begin, begin, taker.arrival_bytes});
  }
  if (item.frees_departure_of != SIZE_MAX) {
    const Item& taker = items_[item.frees_departure_of];
    departures_[taker.needs_departure][slot_of_[item.frees_departure_of]] = begin + item.span;
    holds[{taker.needs_departure, true}].push_back({taker.done, begin + item.span, item.bytes});
  }
  if (item.returns) finishes[static_cast<size_t>(item.pass)] = item.done;
}

inline void PlainFlow::Run() {
  for (int64_t now = 0; now != kNever;) {
    // First whatever waits in no shared line, then the first request in program order; and again.
    for (bool more = true; more;) {
      more = false;
      size_t request = SIZE_MAX;
      for (size_t i = 0; i < items_.size(); ++i) {
        if (!MayBegin(items_[i], now)) continue;
        if (items_[i].shared.empty()) {
          Begin(i, now);
          more = true;
        } else if (request == SIZE_MAX) {
          request = i;
        }
      }
      if (!more && request != SIZE_MAX) {
        Begin(request, now);
        more = true;
      }
    }
    int64_t next = kNever;
    const auto at = [&](int64_t time) {
      if (time > now) next = std::min(next, time);
    };
    for (const Item& item : items_) {
      if (item.begin == kNever) at(item.earliest);
      if (item.begin != kNever) at(item.done);
    }
    for (const auto& [queue, line] : lines_) at(line.free);
    for (const auto* slots : {&arrivals_, &departures_}) {
      for (const auto& [card, used] : *slots) {
        for (int64_t until : used) at(until);
      }
    }
    now = next;
  }
}

}  // namespace lodestone::testing
