#include "timing/core_ledger.h"

#include <algorithm>

#include "timing/saturated.h"

namespace lodestone {

CoreLedger::CoreLedger(const CoreArray& array, int64_t buffers_per_core)
    : cores_(static_cast<size_t>(array.cores), CoreBytes{.weights = 0, .kv = 0, .buffers = buffers_per_core}) {}

void CoreLedger::AddToEvery(int64_t weight_bytes) {
  for (CoreBytes& core : cores_) core.weights = Plus(core.weights, weight_bytes);
}

const CoreBytes& CoreLedger::fullest() const {
  return *std::max_element(cores_.begin(), cores_.end(),
                           [](const CoreBytes& a, const CoreBytes& b) { return a.total() < b.total(); });
}

void CoreLedger::Add(int64_t CoreBytes::*what, int64_t width, std::span<const int64_t> bytes) {
  struct Slot {
    int64_t fill = 0, first_core = 0;
  };
  std::vector<Slot> slots(cores_.size() / static_cast<size_t>(width));
  for (size_t s = 0; s < slots.size(); ++s) {
    slots[s].first_core = static_cast<int64_t>(s) * width;
    for (int64_t place = 0; place < width; ++place) {
      slots[s].fill = std::max(slots[s].fill, cores_[static_cast<size_t>(slots[s].first_core + place)].total());
    }
  }
  const auto emptier = [](const Slot& a, const Slot& b) { return a.fill < b.fill; };
  if (!std::is_sorted(slots.begin(), slots.end(), emptier)) std::stable_sort(slots.begin(), slots.end(), emptier);
  for (size_t i = 0; i < bytes.size(); ++i) {
    const size_t group = i / static_cast<size_t>(width), place = i % static_cast<size_t>(width);
    int64_t& held = cores_[static_cast<size_t>(slots[group].first_core) + place].*what;
    held = Plus(held, bytes[i]);
  }
}

}  // namespace lodestone
