#include "engine/stop_matcher.h"

#include <algorithm>
#include <utility>

namespace lodestone {

StopMatcher::Piece StopMatcher::Push(std::string_view text) {
  if (stopped_) return {.text = {}, .stopped = true};
  pending_ += text;
  size_t best_end = std::string::npos, best_begin = 0;
  for (const std::string& stop : stops_) {
    const size_t begin = pending_.find(stop);
    if (begin == std::string::npos) continue;
    const size_t end = begin + stop.size();
    if (end < best_end || (end == best_end && begin < best_begin)) {
      best_end = end;
      best_begin = begin;
    }
  }
  if (best_end != std::string::npos) {
    stopped_ = true;
    pending_.resize(best_begin);
    return {.text = std::exchange(pending_, {}), .stopped = true};
  }
  const size_t shown = pending_.size() - HeldBytes();
  Piece piece{.text = pending_.substr(0, shown), .stopped = false};
  pending_.erase(0, shown);
  return piece;
}

std::string StopMatcher::Finish() { return std::exchange(pending_, {}); }

size_t StopMatcher::HeldBytes() const {
  size_t held = 0;
  for (const std::string& stop : stops_) {
    size_t length = std::min(stop.size() - 1, pending_.size());
    while (length > held && !pending_.ends_with(std::string_view(stop).substr(0, length))) --length;
    held = std::max(held, length);
  }
  return held;
}

}  // namespace lodestone
