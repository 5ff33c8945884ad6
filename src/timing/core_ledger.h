// What lies on every core of a chip: groups of cores get weights and KV, the largest on the emptiest.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "timing/core_array.h"

namespace lodestone {

struct CoreBytes {
  int64_t weights = 0, kv = 0, buffers = 0;
  int64_t total() const { return weights + kv + buffers; }
};

class CoreLedger {
 public:
  CoreLedger(const CoreArray& array, int64_t buffers_per_core);

  // Groups of `width` neighbouring cores, one after another on the emptiest that are left. `bytes`: of a group's cores,
  // group after group, none larger than the one before.
  void AddWeights(int64_t width, std::span<const int64_t> bytes) { Add(&CoreBytes::weights, width, bytes); }
  void AddKv(int64_t width, std::span<const int64_t> bytes) { Add(&CoreBytes::kv, width, bytes); }
  void AddToEvery(int64_t weight_bytes);

  const std::vector<CoreBytes>& cores() const { return cores_; }
  const CoreBytes& fullest() const;

 private:
  void Add(int64_t CoreBytes::*what, int64_t width, std::span<const int64_t> bytes);

  std::vector<CoreBytes> cores_;
};

}  // namespace lodestone
