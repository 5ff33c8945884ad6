// The bytes in a card's framebuffer over time, put together for an observer from tensors that are told in the order in
// which they left.
#pragma once

#include <array>
#include <functional>
#include <queue>
#include <utility>
#include <vector>

#include "appliance/appliance.h"
#include "appliance/framebuffer.h"

namespace lodestone {

class HoldTrace {
 public:
  enum Half { kArrivals, kDepartures };

  HoldTrace(int card, std::array<bool, 2> used) : card_(card), used_(used) {}

  // Tells the observer of all moments before which nothing can come any more: tensors of a half come in order of
  // `from`.
  void Add(Half half, const FramebufferHalf::Hold& hold, FlowObserver& observer);

 private:
  struct Change {
    Time at;
    int64_t bytes = 0;
    friend bool operator>(const Change& a, const Change& b) { return a.at > b.at; }
  };

  int card_;
  std::array<bool, 2> used_;  // halves that anything goes through
  std::array<Time, 2> latest_{};
  int64_t bytes_ = 0;
  std::priority_queue<Change, std::vector<Change>, std::greater<>> changes_;
};

}  // namespace lodestone
