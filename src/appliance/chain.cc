#include "appliance/chain.h"

namespace lodestone {

void Chain::Enter(Time now, uint64_t id, const Load& load, std::span<const StageCost* const> costs) {
  state_.Enter(now, id, load, costs, pass_);
  state_.BeginAll(pass_);
  if (2 * first_ > finishes_.size()) {  // moves each entry once on average, and keeps the memory
    finishes_.erase(finishes_.begin(), finishes_.begin() + static_cast<std::ptrdiff_t>(first_));
    first_ = 0;
  }
  finishes_.push_back(pass_.finish());
}

Time Chain::Leave() { return finishes_[first_++]; }

}  // namespace lodestone
