#include "engine/kv_pages.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <numeric>

namespace lodestone {

KvPages::KvPages(int pages) : total_(std::max(pages, 0)), free_(static_cast<size_t>(total_)) {
  std::iota(free_.begin(), free_.end(), 0);  // ascending is a heap with the smallest first
}

Result<std::vector<int32_t>> KvPages::Allocate(int count) {
  if (count < 0) return Invalid(fmt::format("{} KV pages asked for, expected none or more", count));
  if (count > free_pages()) {
    return Infeasible(fmt::format("{} KV pages needed, {} of {} are free", count, free_pages(), total_));
  }
  std::vector<int32_t> pages(static_cast<size_t>(count));
  for (int32_t& page : pages) {
    std::pop_heap(free_.begin(), free_.end(), std::greater<>());
    page = free_.back();
    free_.pop_back();
  }
  return pages;
}

void KvPages::Release(std::vector<int32_t>& pages) {
  LODESTONE_CHECK(pages.size() + free_.size() <= static_cast<size_t>(total_));
  for (int32_t page : pages) {
    LODESTONE_CHECK(page >= 0 && page < total_);
    free_.push_back(page);
    std::push_heap(free_.begin(), free_.end(), std::greater<>());
  }
  pages.clear();
}

}  // namespace lodestone
