// Page numbers of the KV store. Ids only: the same id names a page on every card.
#pragma once

#include <cstdint>
#include <vector>

#include "base/status.h"

namespace lodestone {

class KvPages {
 public:
  explicit KvPages(int pages);

  // Lowest free ids first. kInfeasible with both numbers if fewer than `count` are free.
  Result<std::vector<int32_t>> Allocate(int count);
  void Release(std::vector<int32_t>& pages);  // and clears it

  int free_pages() const { return static_cast<int>(free_.size()); }
  int total_pages() const { return total_; }

 private:
  int total_;
  std::vector<int32_t> free_;  // a heap, smallest first
};

}  // namespace lodestone
