// What lies on every core of a chip: groups of cores get weights and KV, the largest on the emptiest.
#pragma once

#include <cstdint>
#include <functional>
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

  // Bytes of place `place` (0 … width − 1) in group `group`; groups are no larger than those before them.
  using BytesOn = std::function<int64_t(int64_t group, int64_t place)>;

  // `groups` groups of `width` neighbouring cores, one after another on the emptiest that are left.
  void AddWeights(int64_t groups, int64_t width, const BytesOn& bytes) {
    Add(&CoreBytes::weights, groups, width, bytes);
  }
  void AddKv(int64_t groups, int64_t width, const BytesOn& bytes) { Add(&CoreBytes::kv, groups, width, bytes); }
  void AddToEvery(int64_t weight_bytes);

  const std::vector<CoreBytes>& cores() const { return cores_; }
  const CoreBytes& fullest() const;

 private:
  void Add(int64_t CoreBytes::*what, int64_t groups, int64_t width, const BytesOn& bytes);

  std::vector<CoreBytes> cores_;
};

}  // namespace lodestone
